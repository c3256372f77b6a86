"""What a running HAProxy of some version takes from its Runtime API; how text depends on the version is `dialect`.

It must not know servers, backends or sockets. Everything here was tried on 2.6.12, 2.8.25, 3.0.11 and 3.4.7, option by
option (HAPROXY.md A2 has the method); patch levels are from HAProxy's change logs. HAProxy has the last word: an option
that it refuses nevertheless is an unexpected reply, which leads to a reload (`runtime`).
"""

from __future__ import annotations

from typing import NamedTuple

AT_RUN_TIME = (2, 6)
NEVER = (99, 0)


class Option(NamedTuple):
    """An option of a server line: how many words follow it, and the first version whose `add server` takes it."""

    arguments: int
    since: tuple[int, ...]


def _options(words: str, arguments: int, since: tuple[int, ...]) -> dict[str, Option]:
    return {word: Option(arguments, since) for word in words.split()}


# Agent checks and `track` are taken too, but need commands or an order of their own: not worth the rules.
OPTIONS = (
    _options("backup check check-send-proxy check-ssl disabled enabled no-backup send-proxy", 0, AT_RUN_TIME)
    | _options("send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn ssl tfo tls-tickets", 0, AT_RUN_TIME)
    | _options("force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13", 0, AT_RUN_TIME)
    | _options("no-sslv3 no-ssl-reuse no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13", 0, AT_RUN_TIME)
    | _options("addr alpn ca-file check-alpn check-proto check-sni ciphers ciphersuites crl-file crt", 1, AT_RUN_TIME)
    | _options("downinter error-limit fall fastinter id inter maxconn maxqueue minconn observe", 1, AT_RUN_TIME)
    | _options("on-error on-marked-down on-marked-up pool-low-conn pool-max-conn pool-purge-delay", 1, AT_RUN_TIME)
    | _options("port proto rise slowstart sni source ssl-max-ver ssl-min-ver", 1, AT_RUN_TIME)
    | _options("verify verifyhost weight ws", 1, AT_RUN_TIME)
    | _options("shard", 1, (2, 8))
    | _options("cookie", 1, (2, 8, 8))
    | _options("guid hash-key", 1, (3, 0))
    | _options("init-state", 1, (3, 1))
    | _options("agent-check check-via-socks4 no-check no-ssl non-stick stick", 0, NEVER)
    | _options("agent-addr agent-inter agent-port agent-send init-addr log-proto max-reuse namespace redir", 1, NEVER)
    | _options("resolve-net resolve-opts resolve-prefer resolvers socks4 tcp-ut track", 1, NEVER)
)


class Capabilities(NamedTuple):
    """What one version (major, minor, patch) can do without a reload."""

    version: tuple[int, ...]

    def takes(self, option: str) -> bool:
        """Whether `add server` takes this option of a server line."""
        return option in OPTIONS and OPTIONS[option].since <= self.version

    @property
    def delete_after_s(self) -> float:
        """How long a server has to have been out, at least, before it is deleted.

        Requests that were about to connect to it when it left still point to it, and before 2.8.8 a deletion that does
        not see them has crashed HAProxy (HAPROXY.md A4). By then they are through with their retries.
        """
        return 30.0 if self.version < (2, 8, 8) else 1.0
