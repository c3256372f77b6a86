"""One service: what of it decides its templates, what they are offered, and all its texts filled in at once.

What is not of the usual form is left to the twin itself.
"""

from fastlb import _native as _twin

cdef Py_ssize_t MEMBERS_OF = _model.HealthCheck._fields.index("members")
cdef Py_ssize_t SERVER_PORT_OF = _model.Server._fields.index("port")
cdef Py_ssize_t BALANCE = PLACES["balance"], BIND_OPTIONS = PLACES["bind_options"], SSL_CERT = PLACES["ssl_cert"]
cdef Py_ssize_t REALM = PLACES["realm"], USER = PLACES["user"], PASSWORD = PLACES["password"]
cdef Py_ssize_t REDIRECT = PLACES["redirect_to_https"], STICKY = PLACES["sticky"], HSTS = PLACES["use_hsts"]
cdef Py_ssize_t PROXYPASS = PLACES["proxypass_path"], REVPROXY = PLACES["revproxy_path"]
cdef Py_ssize_t REDIRECT_PATH = PLACES["redirect_path"], NETWORKS = PLACES["networks_allowed"]


cdef inline bint _is_usual(service):
    """Whether things lie at the places above."""
    return type(service) is SERVICE and type((<tuple>service)[OPTIONS_OF]) is SERVICE_OPTIONS


def outline(service):
    cdef tuple whole, options
    cdef Text vhost = [NULL, 0]
    if not _is_usual(service):
        return _twin.outline(service)
    whole = <tuple>service
    options = <tuple>whole[OPTIONS_OF]
    check, networks = whole[CHECK_OF], options[NETWORKS]
    if check is not None and type(check) is not HEALTH_CHECK:
        return _twin.outline(service)
    if options[VHOST] is not None and not _see(options[VHOST], &vhost):
        return _twin.outline(service)
    return (
        whole[MODE_OF],
        _count(vhost, c",") + 1 if vhost.size else 0,
        len(networks.split()) if networks else None,
        check is not None,
        None if check is None else check.protocol,
        whole[INDEXED_PORTS_OF] is not None,
        bool(options[PATH]),
        bool(options[REALM]),
        options[REDIRECT],
        bool(options[USER]),
        options[STICKY],
        options[HSTS],
        bool(options[PROXYPASS]),
        bool(options[REVPROXY]),
        bool(options[REDIRECT_PATH]),
        bool(options[TEMPLATES]),
    )


cdef Py_ssize_t _count(Text text, char wanted) noexcept:
    cdef Py_ssize_t i, found = 0
    for i in range(text.size):
        found += text.data[i] == wanted
    return found


def service_values(service):
    cdef tuple whole, options, hosts
    cdef Text host, app_id
    if not _is_usual(service):
        return _twin.service_values(service)
    whole = <tuple>service
    options = <tuple>whole[OPTIONS_OF]
    hosts = _hosts_of(options[VHOST])
    networks = options[NETWORKS]
    if hosts is None or not _see(hosts[0], &host) or not _see(whole[APP_ID_OF], &app_id) or app_id.size == 0:
        return _twin.service_values(service)
    return (
        whole[BACKEND_OF],
        whole[APP_ID_OF],
        whole[MODE_OF],
        whole[PORT_OF],
        options[BALANCE],
        options[BIND_ADDRESS],
        f" ssl crt {options[SSL_CERT]}" if options[SSL_CERT] else "",
        f" {options[BIND_OPTIONS]}" if options[BIND_OPTIONS] else "",
        options[REALM],
        options[PATH],
        options[USER],
        options[PASSWORD],
        options[PROXYPASS],
        options[REVPROXY],
        options[REDIRECT_PATH],
        options[VHOST],
        clean(whole[APP_ID_OF]),
        _host_of_app(host, app_id),
    ) + (hosts + tuple(networks.split()) if networks else hosts)


cdef tuple _hosts_of(vhost):
    """Return the host names of a label; None if it has anything but ASCII."""
    cdef Text text = [NULL, 0]
    if vhost is not None and not _see(vhost, &text):
        return None
    return tuple((<str>vhost).split(",")) if _count(text, c",") else (vhost or "",)


cdef str _host_of_app(Text host, Text app_id):
    """Return ``cleanedUpHostname``."""
    cdef str made = PyUnicode_New(host.size + app_id.size, 127)
    cdef char *at = _put_clean(<char *>PyUnicode_1BYTE_DATA(made), host)
    at[0] = c"_"
    _put_path(at + 1, app_id)
    return made


def check_values(service):
    cdef tuple values = None
    if type(service) is SERVICE:
        check = (<tuple>service)[CHECK_OF]
        if type(check) is HEALTH_CHECK and type((<tuple>check)[MEMBERS_OF]) is dict:
            values = _check_values_plain(<tuple>service, <tuple>check)
    return _twin.check_values(service) if values is None else values


cdef tuple _check_values_plain(tuple service, tuple check):
    cdef Text text
    cdef dict members = <dict>check[MEMBERS_OF]
    _, protocol, check_port, port_index = check
    path, ports, servers = members.get("path", "/"), service[INDEXED_PORTS_OF], service[SERVERS_OF]
    timeout, interval = members.get("timeoutSeconds"), members.get("intervalSeconds")
    grace, failures = members.get("gracePeriodSeconds"), members.get("maxConsecutiveFailures")
    if not _see(path, &text) or text.size > LONGEST_LABEL or not _is_printable(text):
        return None
    if not PyLong_CheckExact(timeout) or not PyLong_CheckExact(interval):
        return None
    if not PyLong_CheckExact(grace) or not PyLong_CheckExact(failures):
        return None
    if not ports and (type(servers) is not tuple or not servers or type((<tuple>servers)[0]) is not SERVER):
        return None
    port = ports[0] if ports else (<tuple>(<tuple>servers)[0])[SERVER_PORT_OF]
    return (
        members,
        port_index,
        protocol,
        path,
        timeout,
        interval,
        grace,
        failures,
        failures + 1,
        port,
        f" port {port}" if port else "",
        check_port,
        f" port {check_port}" if check_port else "",
    )


def fill_each(programs, values):
    cdef Buffer out = [NULL, 0, 0]
    cdef list texts = []
    cdef str text
    try:
        for program in programs:
            text = None
            if type(program) is tuple and type(values) is tuple:
                text = _fill_from(&out, <tuple>program, <tuple>values)
            texts.append(fill(program, values) if text is None else text)
        return tuple(texts)
    finally:
        PyMem_Free(out.data)


cdef str _fill_from(Buffer *out, tuple program, tuple values):
    """Fill in a program of texts and places of texts and numbers; None if it has anything else."""
    cdef Text text
    cdef Number number
    cdef long long place
    cdef int overflow = 0
    out.size = 0
    for part in program:
        if not _see(part, &text):
            if type(part) is not tuple or len(<tuple>part) != 1 or not PyLong_CheckExact((<tuple>part)[0]):
                return None
            place = PyLong_AsLongLongAndOverflow((<tuple>part)[0], &overflow)
            if overflow or not 0 <= place < len(values):
                return None
            value = values[place]
            if not _see(value, &text):
                if not _see_number(value, &number):
                    return None
                text = number.text
        _append(out, text)
    return _text_of(out)
