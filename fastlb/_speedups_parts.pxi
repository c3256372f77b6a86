"""The services of an app to its part of the document, as far as all of them are written at once and the usual way.

`fastlb.fragments` and `fastlb.render` say what is what; the kinds of values are theirs and are given along.
"""

cdef enum TextPlace:
    HTTP_TEXT, APP_ID_TEXT, CHECK_TEXT, USERLIST_TEXT, FRONTEND_TEXT, BACKEND_TEXT, HTTPS_TEXT, TEXTS


cdef Py_ssize_t KEEP_CONNECTIONS = PLACES["keep_connections"]


def plain_part(services, recipes, kinds):
    try:
        return _plain_part(services, recipes, kinds)
    except Exception:  # the general way meets it again, and says so
        return None


cdef object _plain_part(tuple services, tuple recipes, tuple kinds):
    part_kind, written_kind, fragment_kind, vhost_kind, first_uses, every_need = kinds
    cdef list written = [], domains = [], app_ids = [], dear = []
    cdef Py_ssize_t needs = 0, checked = 0, servers = 0
    cdef bint first_of_app = True
    for service in services:
        if not _is_usual(service):
            return None
        joined = (<dict>(<tuple?>recipes)[first_of_app]).get(outline(service))
        if joined is None:
            return None
        fragment = _plain_fragment(<tuple>service, <tuple>joined, fragment_kind, vhost_kind)
        written.append(make_value(written_kind, (service, (<tuple>first_uses)[first_of_app], fragment)))
        domains.extend((<tuple>(<tuple>fragment)[1])[4])
        if (<tuple>fragment)[6] is not None:
            app_ids.append((<tuple>fragment)[6])
        checked += <Py_ssize_t>(<tuple>fragment)[7]
        servers += len(<tuple>(<tuple>service)[SERVERS_OF])
        if (<tuple>(<tuple>service)[OPTIONS_OF])[KEEP_CONNECTIONS]:
            dear.append((<tuple>service)[BACKEND_OF])
        needs |= <Py_ssize_t>(<tuple>joined)[3]
        first_of_app = first_of_app and (<tuple>service)[MODE_OF] != "http"
    return make_value(part_kind, (
        services,
        tuple(written),
        (),
        (<tuple>every_need)[needs],
        tuple(domains),
        tuple(app_ids),
        checked,
        servers,
        tuple(dear),
    ))


cdef object _plain_fragment(tuple service, tuple joined, fragment_kind, vhost_kind):
    """Return a fragment; raises whatever it meets."""
    programs, server_program, with_check, needs = joined
    cdef tuple options = <tuple>service[OPTIONS_OF], servers = <tuple?>service[SERVERS_OF], domains = ()
    cdef tuple values = service_values(service)
    cdef bint http_map = needs & 1, https_map = needs & 2, app_id_map = needs & 4
    if with_check:
        values = values + check_values(service)
    cdef tuple texts = fill_each(programs, values)
    if len(texts) != TEXTS:
        raise _Odd
    lines = server_lines(server_program, servers, options[STICKY], texts[CHECK_TEXT:USERLIST_TEXT])
    if https_map:
        domains = _domains_of(options[VHOST], service[BACKEND_OF])
    vhost = make_value(vhost_kind, (
        texts[HTTP_TEXT], texts[HTTPS_TEXT], options[RANK], (), domains, http_map, https_map
    ))
    return make_value(fragment_kind, (
        texts[USERLIST_TEXT],
        vhost,
        texts[APP_ID_TEXT],
        texts[FRONTEND_TEXT],
        texts[BACKEND_TEXT],
        lines,
        (service[APP_ID_OF], service[BACKEND_OF]) if app_id_map else None,
        len(servers) if texts[CHECK_TEXT] or options[STICKY] else 0,
        (),
    ))


cdef tuple _domains_of(vhost, backend):
    if vhost is None or "," not in <str?>vhost:
        return ((vhost or "", backend),)
    return tuple([(host, backend) for host in dict.fromkeys((<str>vhost).split(","))])
