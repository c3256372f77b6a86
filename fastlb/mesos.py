"""What Mesos and Marathon tell a task in its environment, as far as a load balancer heeds it (docs/mesos.md).

It must not know flags, which beat all of this. Data flows: the environment -> where templates are, who we are, where we
are reached. Variables of libprocess that only set a default are named at their flags.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ANY_ADDRESS = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104 - what is bound to these has no address to be reached at

_GROUP = re.compile(r"HAPROXY_(\d+_)?GROUP")


def sandbox_templates(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folder of templates in the sandbox, where there is a sandbox; it need not exist (COMPAT.md 2.5)."""
    sandbox = environ.get("MESOS_SANDBOX")
    return (f"{sandbox}/templates",) if sandbox else ()


def is_unasked_self(app_id: str, labels: Iterable[str], own_app: str | None) -> bool:
    """Whether an app is this very load balancer, and has no label that puts it in a group.

    ``own_app`` is ``MARATHON_APP_ID``. With ``--group *`` such an app would otherwise be routed to by itself; a group
    of its own is somebody's wish.
    """
    return app_id == own_app and not any(_GROUP.fullmatch(label) for label in labels)


def reached_at(address: str, port: int, advertised: tuple[str | None, int | None], environ: Mapping[str, str]) -> str:
    """Return ``host:port`` at which operators reach the statistics page, as far as this task can know.

    ``address`` and ``port`` are what it binds, ``advertised`` is what the operator said of either. ``HOST`` is the
    agent, and ``PORT_9090`` the agent's port for a container's 9090 (MARATHON.md 8).
    """
    host = advertised[0] or (environ.get("HOST", "localhost") if address in ANY_ADDRESS else address)
    given = advertised[1] or environ.get(f"PORT_{port}") or port
    return f"[{host}]:{given}" if ":" in host else f"{host}:{given}"
