"""What talking to Marathon needs to know, as frozen values.

It must not know flags or environment variables; whoever reads those builds a `MarathonConfig`, and the
client and the event stream read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastlb.errors import UsageError
from fastlb.marathon.login import Login, NoLogin
from fastlb.marathon.transfer import Tls

if TYPE_CHECKING:
    from pathlib import Path

    from fastlb.marathon.selector import Selector


@dataclass(frozen=True, slots=True)
class MarathonConfig:
    """Where Marathon is, how long to wait for it, and how to log in; the defaults are those of COMPAT.md
    2.3 and 2.4.

    Args:
        urls: base URLs in the order of preference; a slash at the end makes no difference.
        connect_timeout_s: how long connecting for a plain request may take.
        read_timeout_s: how long a plain request may see no byte.
        stream_connect_timeout_s: how long connecting for the event stream may take.
        heartbeat_timeout_s: how long the event stream may see no byte; Marathon sends some every 10 s.
        max_backoff_s: the ceiling of the time between two attempts to open the event stream.
        ca_cert: the certificates to trust instead of the system's.
        verify_tls: False accepts any certificate.
        login: how to log in.
        selector: which apps are read; all when there is none.

    Raises:
        UsageError: there is no URL, or one is not of the form http(s)://host..., or one carries a password.

    """

    urls: tuple[str, ...]
    connect_timeout_s: float = 3.05
    read_timeout_s: float = 46.0
    stream_connect_timeout_s: float = 10.0
    heartbeat_timeout_s: float = 30.0
    max_backoff_s: float = 300.0
    ca_cert: Path | None = None
    verify_tls: bool = True
    login: Login = field(default_factory=NoLogin)
    selector: Selector | None = None

    def __post_init__(self) -> None:
        if not self.urls:
            raise UsageError("at least one Marathon URL is needed")
        for url in self.urls:
            _check(url)
        object.__setattr__(self, "urls", tuple(url.rstrip("/") for url in self.urls))

    @property
    def tls(self) -> Tls:
        """How Marathon's certificate is checked."""
        return Tls(self.ca_cert, self.verify_tls)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        # The URL appears in logs and messages, so nothing secret may be part of it.
        raise UsageError(
            f"the Marathon URL of {parts.hostname} carries credentials; give them with --auth-credentials "
            "or --marathon-auth-credential-file instead"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"the Marathon URL {url!r} is not of the form http://host:port or https://host:port")
