"""One app to its services, as far as there is nothing to say about any of them; `fastlb.services` says what is what."""

cdef object SERVICE = _model.Service


def services_of(app, rules, service_ports, surroundings, labels, skipped_states, otherwise):
    services = None
    try:
        if type(app) is APP and type(labels) is dict:
            services = _services(<tuple>app, rules, tuple(service_ports), surroundings, labels, skipped_states)
    except _Odd:
        pass
    return otherwise(app, rules, service_ports, surroundings) if services is None else (services, [])


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
    if options[MODE] is None and check is not None and check.protocol == "HTTP":
        options[MODE] = "http"
    if options[PATH] is not None and options[RANK] == 0:
        options[RANK] = 1
    if check is None and options[CHECK_INDEX] is not None:
        raise _Odd
    return 0


cdef object _service(str app_id, Py_ssize_t index, port, tuple groups, list options, check, tuple servers):
    known_as = port if options[KNOWN_PORT] is None else options[KNOWN_PORT]
    mode = options[MODE]
    if mode is None:
        mode = "http" if options[VHOST] else "tcp"
    return make_value(SERVICE, (
        app_id,
        index,
        known_as,
        f"{app_id[1:].replace('/', '_')}_{known_as}",
        mode,
        groups if options[GROUPS] is None else options[GROUPS],
        make_value(SERVICE_OPTIONS, tuple(options)),
        check,
        servers,
        None,
    ))
