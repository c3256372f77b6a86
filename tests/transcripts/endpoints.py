"""Every administrative path asked with curl, of a front door that runs: `docs/endpoints.md`.

Three states of it: all is well, access is limited, and fastlb itself is down.
"""

from __future__ import annotations

import signal
import socket
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastlb.simulator.server import SimulatedMarathon
from tests.fakes.front_door import app, front_door, until
from tests.transcripts.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.front_door import FrontDoor

HEADING = """\
# Every endpoint, asked

What a real run printed; `python -m tests.transcripts` runs it again and writes this page, and a test holds its commands
and statuses against a run of today. `$LB` is address and stats port of a load balancer (9090 as a rule), `$RUN` its
`--run-dir`. Long answers are cut. `~/.curlrc` has curl say status and type of each answer below it:

    silent
    write-out = "\\n[%{response_code} %{content_type}]\\n"

What the paths are for, and who may use them, is said in [operating](operating.md#administrative-paths).
"""

Said = tuple[str, str, int]
"""A sentence, a command, and how many lines of what it prints are shown."""

OWN: tuple[Said, ...] = (
    (
        "For a load balancer in front of this one, and for Marathon's health checks.",
        "curl $LB/_haproxy_health_check",
        9,
    ),
    ("The statistics page.", 'curl "$LB/haproxy?stats"', 6),
    ("The same for programs.", 'curl "$LB/haproxy?stats;csv"', 7),
    ("For Prometheus, where HAProxy was built with its exporter.", "curl $LB/metrics", 8),
)
OLD_WAYS: tuple[Said, ...] = (
    (
        "What HAProxy runs at this moment, live changes included; no password is shown.",
        "curl $LB/_haproxy_getconfig",
        12,
    ),
    ("", "curl $LB/_haproxy_getconfig | grep -A1 '^userlist'", 5),
    ("The maps of `--haproxy-map`.", "curl $LB/_haproxy_getvhostmap", 9),
    ("", "curl $LB/_haproxy_getappmap", 9),
    ("HAProxy's processes: the worker that serves, then old workers, then the master.", "curl $LB/_haproxy_getpids", 9),
    ("Read everything anew.", "curl $LB/_mlb_signal/hup", 9),
    ("Have HAProxy load its files anew.", "curl $LB/_mlb_signal/usr1", 9),
    ("Other signals are none of these paths.", "curl $LB/_mlb_signal/kill", 9),
)
HEALTH: tuple[Said, ...] = (
    ("Restart fastlb if this is not 200.", "curl $LB/_fastlb/live", 9),
    ("Send traffic there if this is 200.", "curl $LB/_fastlb/ready", 9),
    ("Tell somebody if this is not 200.", "curl $LB/_fastlb/synced", 9),
)
ANSWERS: tuple[Said, ...] = (
    ("Why an app is routed, or is not ([more](explain.md)).", 'curl "$LB/_fastlb/explain?app=/shop/web"', 22),
    ("As JSON.", 'curl -H "Accept: application/json" "$LB/_fastlb/explain?app=/shop/typo"', 28),
    ("An app that is not there.", 'curl "$LB/_fastlb/explain?app=/shop/wbe"', 9),
    ("No app.", "curl $LB/_fastlb/explain", 9),
    ("An id that wants to do harm.", 'curl "$LB/_fastlb/explain?app=/%1b%5b31m%3Cscript%3E%00"', 9),
    ("Everything that is left out.", "curl $LB/_fastlb/problems", 9),
    ("", "curl -H 'Accept: application/json' $LB/_fastlb/problems", 9),
    (
        "For `fastlb zdd`.",
        'curl "$LB/_fastlb/draining?app=/shop/web" | head -1 | python3 -m json.tool',
        24,
    ),
    ("What the page shows, as JSON.", "curl $LB/_fastlb/state | cut -c 1-150", 9),
    ("", 'curl "$LB/_fastlb/apps?search=shop&show=left-out" | cut -c 1-150', 9),
    ("The page, and its view of one app.", "curl $LB/_fastlb/", 6),
    ("", 'curl "$LB/_fastlb/app?id=/shop/web"', 6),
    ("What does not exist.", "curl $LB/_fastlb/nothing", 9),
)
METRICS: tuple[Said, ...] = (
    ("For Prometheus.", "curl $LB/_fastlb/metrics | grep -v '^#'", 16),
    ("For collectors that speak to Mesos.", "curl $LB/metrics/snapshot | tr ',' '\\n'", 9),
)
LOCAL: tuple[Said, ...] = (
    (
        "Only fastlb's own user can open it; passwords are there.",
        "curl --unix-socket $RUN/local.sock http://localhost/_haproxy_getconfig | grep -A1 '^userlist'",
        9,
    ),
)
MANY: tuple[Said, ...] = (
    (
        "",
        (
            "curl --no-progress-meter --parallel --parallel-max 8 --write-out '%{response_code}\\n' --output /dev/null"
            ' "$LB/_fastlb/live?[1-1200]" | grep -c 429 | awk \'{ print ($1 > 100) ? "over 100 of 1200" : $1 }\''
        ),
        9,
    ),
    ("Whoever did it has to wait.", "curl $LB/_fastlb/live", 9),
    ("Health check and metrics of HAProxy have no limit.", "curl $LB/_haproxy_health_check", 9),
)
LIMITED: tuple[Said, ...] = (
    ("No token, a wrong one, the right one.", "curl $LB/_haproxy_getpids", 9),
    ("", "curl -H 'Authorization: Bearer guessed' $LB/_haproxy_getpids", 9),
    ("", "curl -H 'Authorization: Bearer open sesame' $LB/_haproxy_getpids", 9),
    ("From a network that may not; a header of the client's own changes nothing.", "curl $LB/_mlb_signal/hup", 9),
    ("", "curl -H 'X-Fastlb-Client: 10.0.0.1' $LB/_mlb_signal/hup", 9),
    ("Turned off, for everybody.", "curl -H 'Authorization: Bearer open sesame' $LB/_haproxy_getconfig", 9),
    ("From a network that may.", "curl $LB/_fastlb/ready", 9),
    (
        "The local socket knows no such limits.",
        "curl --unix-socket $RUN/local.sock http://localhost/_haproxy_getpids",
        9,
    ),
)
DOWN: tuple[Said, ...] = (
    ("fastlb's paths say so.", "curl $LB/_fastlb/live", 9),
    ("", "curl $LB/_haproxy_getconfig", 9),
    ("", "curl $LB/_mlb_signal/hup", 9),
    ("HAProxy's own are there.", "curl $LB/_haproxy_health_check", 9),
    ("", 'curl "$LB/haproxy?stats;csv"', 5),
    ("And so is the app.", "curl --connect-to ::${LB%:*}:21080 http://web.test/ | cut -c 1-60", 9),
)
TOKEN = "open sesame"
RULES = ("/_haproxy_getpids=token", "/_haproxy_getconfig=off", "/_mlb_signal/=10.0.0.0/8", "/_fastlb/=private")


def page() -> str:
    """Ask all of them, and return the page."""
    parts = [HEADING]
    with _running("--haproxy-map") as door:
        shell = Shell(door)
        parts += _section(shell, "HAProxy's own", OWN)
        parts += _section(shell, "marathon-lb's", OLD_WAYS)
        door.wait_for("reload", reasons=["SIGUSR1"])
        for title, asked in (
            ("Health", HEALTH),
            ("Answers", ANSWERS),
            ("Metrics", METRICS),
            ("The local socket", LOCAL),
        ):
            parts += _section(shell, title, asked)
        with _without_fastlb(door):
            parts += _section(shell, "While fastlb is down", DOWN)
        until(lambda: door.status("web.test") == 200)
        parts += _section(shell, "Too many requests", MANY)
    flags = [word for rule in RULES for word in ("--admin-access", rule)]
    with _running(*flags, "--admin-token-file", "token") as door:
        said = " ".join(f"--admin-access {rule}" for rule in RULES)
        parts += _section(Shell(door), "Limited", LIMITED, f"With `{said} --admin-token-file token`.\n")
    return "\n".join(parts)


def _section(shell: Shell, title: str, asked: tuple[Said, ...], about: str = "") -> list[str]:
    blocks = [f"{about}\n\n{shell.block(command, lines)}" for about, command, lines in asked]
    return [f"## {title}\n", *([about] if about else []), *(block.lstrip("\n") for block in blocks)]


@contextmanager
def _running(*flags: str) -> Iterator[FrontDoor]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastlb-ends-")))
        marathon = stack.enter_context(SimulatedMarathon())
        marathon.load(_apps())
        (folder / "token").write_text(f"{TOKEN}\n")
        door = stack.enter_context(front_door(folder)).up(marathon.url, *flags)
        door.wait_for_status("web.test", 200)
        yield door


@contextmanager
def _without_fastlb(door: FrontDoor) -> Iterator[None]:
    """Kill the controller while the supervisor, which would start another one at once, is stopped."""
    assert door.process is not None
    controller = door.controller()
    door.tree()
    door.process.send_signal(signal.SIGSTOP)
    try:
        controller.kill()
        until(lambda: _refuses(door.folder / "run" / "admin.sock"))
        yield
    finally:
        door.process.send_signal(signal.SIGCONT)


def _refuses(path: Path) -> bool:
    """Whether nobody listens any more: a killed process takes a moment to go."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) != 0


def _apps() -> list[dict[str, Any]]:
    secret = {
        "HAPROXY_0_AUTH": "staff:me:hunter2",
        "HAPROXY_0_USERLIST_HEAD": "userlist user_{backend}\n  user {user} insecure-password {passwd}\n",
    }
    return [
        app("shop/web", 24000, labels={"HAPROXY_0_VHOST": "web.test"}),
        app("shop/secret", 24001, labels={"HAPROXY_0_VHOST": "secret.test", **secret}),
        app("shop/typo", 24002, labels={"HAPROXY_0_VHOST": "typo.test", "HAPROXY_0_PORT": "http"}),
    ]
