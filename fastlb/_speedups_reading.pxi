"""The JSON of one app to an App, as far as each member has its usual form; what it means is said in `fastlb.reading`."""

cdef enum:
    DEEPEST = 100  # objects in objects in a health check

cdef dict NO_MEMBERS = {}
cdef list NO_ENTRIES = []
cdef frozenset NO_POSITIONS = frozenset()


def read_app(document, otherwise):
    app = None
    try:
        app = _app(document)
    except _Odd:
        pass
    return otherwise(document) if app is None else app


cdef object _app(document):
    cdef dict app = _object(document)
    cdef dict container = _member(app, "container")
    cdef list mappings = _port_mappings(container)
    cdef str mode = _networking_mode(app, container)
    service_ports, udp_only = _service_ports(app, mode, mappings)
    return make_value(APP, (
        _app_id(app),
        _object(app.get("labels")),
        mode,
        service_ports,
        udp_only,
        _ports_of(_objects(app, "portDefinitions"), "port"),
        _ports_of(mappings, "containerPort"),
        _discovery_ports(app),
        tuple([_health_check(each) for each in _objects(app, "healthChecks")]),
        _optional_number(app, "instances"),
        _word(_member(app, "versionInfo"), "lastScalingAt") or None,
        _tasks(app.get("tasks")),
        _word(_member(app, "versionInfo"), "lastConfigChangeAt") or None,
    ))


cdef str _app_id(dict app):
    cdef str app_id = _word(app, "id")
    if not app_id or "\x7f" in app_id:
        raise _Odd
    return app_id


cdef list _port_mappings(dict container):
    return _objects(_member(container, "docker"), "portMappings") or _objects(container, "portMappings")


cdef str _networking_mode(dict app, dict container):
    cdef str mode = "container" if _member(app, "ipAddress") else "host"
    cdef str legacy = _word(_member(container, "docker"), "network")
    if legacy == "USER":
        mode = "container"
    elif legacy == "BRIDGE":
        mode = "container/bridge"
    for network in _objects(app, "networks"):
        mode = _word(network, "mode") or "container"
    return mode


cdef tuple _service_ports(dict app, str mode, list mappings):
    cdef list ports = []
    cdef list udp = []
    if mode == "container/bridge" or mode == "container":
        _add_declared(mappings, "servicePort", ports, udp)
    if not ports and app.get("portDefinitions") is not None:
        _add_declared(_objects(app, "portDefinitions"), "port", ports, udp)
    elif not ports:
        return _numbers(app.get("ports")), NO_POSITIONS
    return tuple(ports), frozenset(udp) if udp else NO_POSITIONS


cdef int _add_declared(list entries, str name, list ports, list udp) except -1:
    for entry in entries:
        port = (<dict>entry).get(name)
        if port is not None:
            if (<dict>entry).get("protocol") == "udp":
                udp.append(len(ports))
            ports.append(_number(port))
    return 0


cdef tuple _discovery_ports(dict app):
    return _ports_of(_objects(_member(_member(app, "ipAddress"), "discovery"), "ports"), "number")


cdef tuple _ports_of(list entries, str name):
    cdef list ports = []
    for entry in entries:
        port = (<dict>entry).get(name)
        if port is not None:
            ports.append(_number(port))
    return tuple(ports)


cdef object _health_check(dict members):
    cdef dict kept = _without_nulls(members, 0)
    return make_value(HEALTH_CHECK, (
        kept,
        _word(kept, "protocol") or None,
        _optional_number(kept, "port"),
        _optional_number(kept, "portIndex"),
    ))


cdef object _without_nulls(value, int depth):
    if depth > DEEPEST:
        raise _Odd
    if type(value) is dict:
        return {
            name: _without_nulls(member, depth + 1) for name, member in (<dict>value).items() if member is not None
        }
    return [_without_nulls(member, depth + 1) for member in <list>value] if type(value) is list else value


cdef tuple _tasks(value):
    if type(value) is not list:
        raise _Odd
    return tuple([_task(_object(each)) for each in <list>value])


cdef object _task(dict task):
    cdef list addresses = _objects(task, "ipAddresses")
    return make_value(TASK, (
        _word(task, "id"),
        _word(task, "host"),
        _word(task, "state") or None,
        _numbers(task.get("ports")),
        _word(addresses[0], "ipAddress") or None if addresses else None,
        _alive(_objects(task, "healthCheckResults")),
        task.get("draining") is not None and _flag(task.get("draining")),
    ))


cdef object _alive(list results):
    alive = None
    for result in results:
        alive = _flag((<dict>result).get("alive")) or alive is True
    return alive


# --- members of an object, missing or of the right type ---

cdef dict _object(value):
    if type(value) is not dict:
        raise _Odd
    return value


cdef dict _member(dict document, str name):
    value = document.get(name)
    return NO_MEMBERS if value is None else _object(value)


cdef list _objects(dict document, str name):
    value = document.get(name)
    if value is None:
        return NO_ENTRIES
    if type(value) is not list:
        raise _Odd
    for entry in <list>value:
        _object(entry)
    return value


cdef str _word(dict document, str name):
    value = document.get(name)
    if value is None:
        return ""
    if not _is_word(value):
        raise _Odd
    return value


cdef tuple _numbers(value):
    if value is None:
        return ()
    if type(value) is not list:
        raise _Odd
    for each in <list>value:
        _number(each)
    return tuple(<list>value)


cdef object _optional_number(dict document, str name):
    value = document.get(name)
    return None if value is None else _number(value)


cdef object _number(value):
    if not PyLong_CheckExact(value):
        raise _Odd
    return value


cdef bint _flag(value) except -1:
    if type(value) is not bool:
        raise _Odd
    return value is True
