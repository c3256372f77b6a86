"""What each label means, one line of plain words per label (COMPAT.md 4.1, 4.2).

For people: `fastlb explain` and the manual show it. What decides is in `labels` and `deployment`; nothing decides by
this table, and a test holds both to the same names.
"""

from __future__ import annotations

VALUE_MEANINGS = {
    "AUTH": "asks for a password on the shared http and https ports: realm:user:password hash",
    "BACKEND_HEALTHCHECK_PORT_INDEX": "checks the health of another service of the app, counted from 0",
    "BACKEND_NETWORK_ALLOWED_ACL": "lets in only these networks, separated by blanks",
    "BACKEND_WEIGHT": "place among all rules of the shared ports; the larger, the earlier",
    "BALANCE": "how requests are spread over the servers",
    "BIND_ADDR": "address on which the service port listens",
    "BIND_OPTIONS": "more words for the bind line of the service port",
    "ENABLED": "whether the service is exposed; needed with --strict-mode",
    "GROUP": "groups of this service alone, separated by commas; replaces HAPROXY_GROUP",
    "HTTP_BACKEND_PROXYPASS_PATH": "path in front of which the host's name and path are rewritten for the app",
    "HTTP_BACKEND_REDIR": "path to which a request for / is redirected",
    "HTTP_BACKEND_REVPROXY_PATH": "path that is put into Location headers of the app's answers",
    "KEEP_CONNECTIONS": "old workers with connections of this service are ended last",
    "MODE": "http or tcp",
    "PATH": "only requests whose path begins so, on the shared ports",
    "PORT": "listens on this port instead of the declared service port",
    "REDIRECT_TO_HTTPS": "answers on the http port with a redirect to https",
    "SSL_CERT": "speaks TLS with this certificate on the service port",
    "STICKY": "keeps a visitor on one server, by a cookie",
    "USE_HSTS": "tells browsers to come back by https only",
    "VHOST": "host names under which the shared ports lead here, separated by commas",
}
"""Labels ``HAPROXY_{n}_NAME`` that are values."""

TEMPLATE_MEANINGS = {
    "BACKEND_HEAD": "the first lines of the backend",
    "BACKEND_HSTS_OPTIONS": "the line that USE_HSTS adds",
    "BACKEND_HTTP_HEALTHCHECK_OPTIONS": "how an HTTP health check asks",
    "BACKEND_HTTP_OPTIONS": "lines of every http backend",
    "BACKEND_REDIRECT_HTTP_TO_HTTPS": "the redirect to https",
    "BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH": "the redirect to https, with a PATH",
    "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS": "words for each server with an HTTP health check",
    "BACKEND_SERVER_OPTIONS": "the line of each server",
    "BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS": "words for each server with a TCP health check",
    "BACKEND_STICKY_OPTIONS": "the line that STICKY adds",
    "BACKEND_TCP_HEALTHCHECK_OPTIONS": "lines of a backend with a TCP health check",
    "FRONTEND_BACKEND_GLUE": "the line that leads from the service port to the backend",
    "FRONTEND_HEAD": "the first lines of the service port's frontend",
    "HTTPS_FRONTEND_ACL": "the rule on the https port",
    "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH": "the condition on the path, on the https port",
    "HTTPS_FRONTEND_ACL_WITH_AUTH": "the rule on the https port, with AUTH",
    "HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH": "the rule on the https port, with AUTH and a PATH",
    "HTTPS_FRONTEND_ACL_WITH_PATH": "the rule on the https port, with a PATH",
    "HTTP_BACKEND_NETWORK_ALLOWED_ACL": "the condition for each allowed network, http",
    "HTTP_BACKEND_PROXYPASS_GLUE": "the lines that HTTP_BACKEND_PROXYPASS_PATH adds",
    "HTTP_BACKEND_REVPROXY_GLUE": "the lines that HTTP_BACKEND_REVPROXY_PATH adds",
    "HTTP_FRONTEND_ACL": "the rule on the http port",
    "HTTP_FRONTEND_ACL_ONLY": "the condition on the host, on the http port",
    "HTTP_FRONTEND_ACL_ONLY_WITH_PATH": "the condition on the path, on the http port",
    "HTTP_FRONTEND_ACL_ONLY_WITH_PATH_AND_AUTH": "the conditions on path and password, on the http port",
    "HTTP_FRONTEND_ACL_WITH_AUTH": "the rule on the http port, with AUTH",
    "HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH": "the rule on the http port, with AUTH and a PATH",
    "HTTP_FRONTEND_ACL_WITH_PATH": "the rule on the http port, with a PATH",
    "HTTP_FRONTEND_APPID_ACL": "the rule on the app-id port",
    "HTTP_FRONTEND_ROUTING_ONLY": "where several hosts lead, on the http port",
    "HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH": "where several hosts lead, with AUTH",
    "HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH": "where several hosts lead, with a PATH",
    "HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH": "where several hosts lead, with AUTH and a PATH",
    "TCP_BACKEND_NETWORK_ALLOWED_ACL": "the condition for each allowed network, tcp",
    "USERLIST_HEAD": "the list of users that AUTH adds",
}
"""Labels ``HAPROXY_{n}_NAME`` that replace a template: what that template writes."""

NEVER_READ = frozenset(
    "MAP_HTTPS_FRONTEND_ACL MAP_HTTP_FRONTEND_ACL MAP_HTTP_FRONTEND_ACL_ONLY MAP_HTTP_FRONTEND_APPID_ACL".split()
)
"""Labels ``HAPROXY_{n}_NAME`` that are accepted and have no effect (COMPAT.md 5.4)."""

APP_MEANINGS = {
    "HAPROXY_APP_ID": "the app's id before zdd gave it a colour; written by zdd, not read here",
    "HAPROXY_DEPLOYMENT_ALT_PORT": "zdd's other service port; not read here",
    "HAPROXY_DEPLOYMENT_COLOUR": "zdd's colour of this app; not read here",
    "HAPROXY_DEPLOYMENT_GROUP": "apps of one group are served as one",
    "HAPROXY_DEPLOYMENT_NEW_INSTANCES": "how many instances the newer app of the group shall have",
    "HAPROXY_DEPLOYMENT_STARTED_AT": "which app of the group is the newer one",
    "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "how many instances the group shall have in the end",
    "HAPROXY_GROUP": "groups of the app, separated by commas; --group takes some of them",
}
"""Labels without an index."""
