"""One app to its services, as far as there is nothing to say about any of them; `fastlb.services` says what is what."""

from operator import itemgetter as _itemgetter

cdef object SERVICE = _model.Service
cdef dict SERVICE_PLACES = {field: place for place, field in enumerate(_model.Service._fields)}
cdef Py_ssize_t APP_ID_OF = SERVICE_PLACES["app_id"], PORT_OF = SERVICE_PLACES["port"]
cdef Py_ssize_t BACKEND_OF = SERVICE_PLACES["backend"], MODE_OF = SERVICE_PLACES["mode"]
cdef Py_ssize_t GROUPS_OF = SERVICE_PLACES["groups"], OPTIONS_OF = SERVICE_PLACES["options"]
cdef Py_ssize_t CHECK_OF = SERVICE_PLACES["health_check"], SERVERS_OF = SERVICE_PLACES["servers"]
cdef Py_ssize_t INDEXED_PORTS_OF = SERVICE_PLACES["indexed_ports"]
cdef Py_ssize_t PROTOCOL_OF = _model.HealthCheck._fields.index("protocol")
cdef object PORT_AS_KEY = _itemgetter(PORT_OF)


def services_of(app, rules, service_ports, surroundings, labels, skipped_states, otherwise):
    services = None
    try:
        if type(app) is APP and type(labels) is dict:
            services = _services(<tuple>app, rules, tuple(service_ports), surroundings, labels, skipped_states)
    except _Odd:
        pass
    return otherwise(app, rules, service_ports, surroundings) if services is None else (services, [])


def plain_services(app, rules, surroundings, labels, skipped_states):
    try:
        if type(app) is APP and type(labels) is dict and rules.policy is None:
            return _plain_services(<tuple>app, rules, surroundings, labels, skipped_states)
    except Exception:  # the general way meets it again, and says so
        pass
    return None


cdef tuple _plain_services(tuple app, rules, surroundings, dict known_labels, frozenset skipped_states):
    """Return the services to write; odd if the app has to do with others, or if there is something to say."""
    app_id, labels, mode, service_ports, _, _, _, _, _, _, _, tasks, _ = app
    cdef list taken = []
    if type(labels) is not dict or (<dict>labels).get("HAPROXY_DEPLOYMENT_GROUP") is not None:
        raise _Odd
    if app_id == rules.own_app or (<str?>app_id)[1:] == rules.framework_name:
        raise _Odd
    if mode == "container" and not service_ports and tasks:
        raise _Odd  # it asks for ports
    groups, own_ports = rules.groups, rules.own_ports
    for service in _services(app, rules, <tuple?>service_ports, surroundings, known_labels, skipped_states):
        options = <tuple>(<tuple>service)[OPTIONS_OF]
        if (<tuple>options)[ENABLED] and _is_taken(<tuple>(<tuple>service)[GROUPS_OF], groups):
            if (<tuple>options)[CHECK_INDEX] is not None:
                raise _Odd
            for _, port in own_ports:
                if port == (<tuple>service)[PORT_OF]:
                    raise _Odd
            taken.append(service)
    if len(taken) > 1:
        taken.sort(key=PORT_AS_KEY)
    return tuple(taken)


cdef bint _is_taken(tuple groups, tuple wanted) except -1:
    if "*" in wanted:
        return True
    for group in groups:
        if group in wanted:
            return True
    return False


cdef list _services(tuple app, rules, tuple service_ports, surroundings, dict known_labels, frozenset skipped_states):
    """Return the services that have a server, in filing order: of those at one port the last, in the first's place."""
    app_id, labels, _, _, udp_only, _, _, _, checks, _, _, _, _ = app
    cdef Py_ssize_t index, count = len(service_ports)
    if type(labels) is not dict or type(checks) is not tuple or udp_only or None in service_ports:
        raise _Odd
    cdef tuple groups = _app_groups(labels)
    cdef list options = _options_by_index(labels, rules, known_labels, count)
    cdef dict servers = _servers(app, service_ports, rules.health_check, surroundings, skipped_states)
    cdef dict filed = {}
    for index in range(count):
        check = _health_check_of(checks, index)
        _settle(options[index], check)
        port = service_ports[index]
        if port in servers:
            filed[port] = _service(app_id, index, port, groups, options[index], check, servers[port])
    return list(filed.values())


cdef tuple _app_groups(dict labels):
    value = labels.get("HAPROXY_GROUP")
    if value is None:
        return ()
    if type(value) is not str:
        raise _Odd
    return tuple((<str>value).split(","))


cdef object _health_check_of(tuple checks, index):
    for check in checks:
        if type(check) is not HEALTH_CHECK:
            raise _Odd
        _, protocol, port, port_index = <tuple>check
        if port or port_index == index:
            if protocol is None:
                raise _Odd
            return check
    return None


cdef int _settle(list options, check) except -1:
    """Complete the options; odd if they ask for the health check of another port."""
    if options[MODE] is None and check is not None and (<tuple>check)[PROTOCOL_OF] == "HTTP":
        options[MODE] = "http"
    if options[PATH] is not None and options[RANK] == 0:
        options[RANK] = 1
    if check is None and options[CHECK_INDEX] is not None:
        raise _Odd
    return 0


cdef str _backend_name(str app_id, port):
    cdef Text text
    cdef Number number
    cdef str name
    cdef char *at
    if not _see(app_id, &text) or text.size == 0 or not _see_number(port, &number):
        return f"{app_id[1:].replace('/', '_')}_{port}"
    name = PyUnicode_New(text.size + number.text.size, 127)
    at = _put_path(<char *>PyUnicode_1BYTE_DATA(name), text)
    at[0] = c"_"
    _put(at + 1, number.text)
    return name


cdef object _service(str app_id, Py_ssize_t index, port, tuple groups, list options, check, tuple servers):
    known_as = port if options[KNOWN_PORT] is None else options[KNOWN_PORT]
    mode = options[MODE]
    if mode is None:
        mode = "http" if options[VHOST] else "tcp"
    return make_value(SERVICE, (
        app_id,
        index,
        known_as,
        _backend_name(app_id, known_as),
        mode,
        groups if options[GROUPS] is None else options[GROUPS],
        make_value(SERVICE_OPTIONS, options),
        check,
        servers,
        None,
    ))
