"""The names of marathon-lb's image: ``run``, ``marathon_lb.py``, ``reload_haproxy.sh``, and the image's health check.

What they mean is decided in `container`; here it is done: certificates are written, kernel parameters set, and then
this process becomes fastlb. Nothing stays behind, so that in the container tini has one child, the supervisor.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fastlb.container import Folders, Start, marathon_lb, run
from fastlb.errors import ExitCode, FastlbError, UsageError
from fastlb.external import RELOADING
from fastlb.files import publish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger("run")

HOME = Path("/marathon-lb")
"""Where the image has everything; configuration, maps and templates lie there, too."""
CERTIFICATES = Path("/etc/ssl")
KERNEL = Path("/proc/sys")
RUN_DIR = "/var/run/haproxy"
PRIVATE = 0o600
ANSWER_WITHIN_S = 4.0
RELOADED_WITHIN_S = 120.0
"""What fastlb itself waits for by default; whoever runs the command ends it where that is less."""


def main() -> int:
    """Do what ``NAME WORDS...`` asks for; return the exit code if this process has not become another."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)-15s %(name)s: %(message)s")
    name, words = sys.argv[1], sys.argv[2:]
    try:
        if name == "run":
            start = run(words, os.environ, folders(HOME, CERTIFICATES, run_dir(os.environ)))
            demand_writable(run_dir(os.environ))
            os.chdir(HOME)
            _become_fastlb(start)
        elif name == "marathon_lb.py":
            _become_fastlb(marathon_lb(words, os.environ, follows_events=_follows_events(words)))
        elif name == "reload_haproxy.sh":
            return _reload(run_dir(os.environ))
        elif name == "health":
            return _health(run_dir(os.environ))
        raise UsageError(f"{name} is none of run, marathon_lb.py, reload_haproxy.sh and health")
    except FastlbError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
        return ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FAILED


def run_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder of sockets and state; fastlb itself takes another one by default where it is not root."""
    return Path(environ.get("FASTLB_RUN_DIR") or RUN_DIR)


def folders(home: Path, certificates: Path, fallback: Path) -> Folders:
    """Return marathon-lb's places where they can be written to; on a read-only root file system ``fallback``."""
    writable = [folder if os.access(folder, os.W_OK) else fallback for folder in (home, certificates)]
    return Folders(config=str(writable[0] / "haproxy.cfg"), certificates=str(writable[1]))


def demand_writable(folder: Path) -> None:
    """Make the folder if it is not there. Raises FastlbError if nothing can be written there."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise FastlbError(
            f"user {os.geteuid()} cannot write to {folder}, where sockets and state go; run it with "
            f"--tmpfs {folder.resolve()}:mode=1777, or as another user"
        )


def prepare(start: Start, kernel: Path) -> None:
    """Write and set what has to be there before fastlb starts. Raises FastlbError."""
    for said in start.said:
        log.info("%s", said)
    for path, text in start.certificates.items():
        _write_private(Path(path), text)
    if start.self_signed and not Path(start.self_signed).exists():
        from fastlb.certificates import make_self_signed

        log.warning("no certificate is given; HTTPS is served with a self-signed one, %s", start.self_signed)
        make_self_signed(Path(start.self_signed))
    for key, value in start.sysctl:
        _set_parameter(kernel / (key if "/" in key else key.replace(".", "/")), value, strict=start.strict)


def _become_fastlb(start: Start) -> NoReturn:
    environment = {"FASTLB_RUN_DIR": RUN_DIR, **start.environment}
    prepare(start, KERNEL)
    os.execve(sys.executable, [sys.executable, "-m", "fastlb", *start.words], environment)  # noqa: S606 - no shell


def _write_private(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=PRIVATE)
        path.chmod(PRIVATE)
    except OSError as error:
        raise FastlbError(f"the certificate {path} cannot be written: {error.strerror}") from error
    publish(path, text)


def _set_parameter(path: Path, value: str, *, strict: bool) -> None:
    try:
        path.write_text(value)
    except OSError as error:
        said = f"HAPROXY_SYSCTL_PARAMS: {path} cannot be set to {value} ({error.strerror})"
        if strict:
            raise FastlbError(f"{said}; HAPROXY_SYSCTL_NONSTRICT=1 goes on without it") from error
        log.warning("%s; it stays as it is", said)


def _follows_events(words: Sequence[str]) -> bool:
    from fastlb.cli import build_parser

    return bool(build_parser().parse_known_args(["poll", *words])[0].sse)


def _reload(folder: Path) -> int:
    """Have the running fastlb try the files on disk and reload HAProxy, as at SIGUSR1. Raises FastlbError.

    Within ``--reload-through`` fastlb waits for HAProxy to be reloaded, so it is told right away.
    """
    if socket := os.environ.get(RELOADING):
        return _reload_at(Path(socket))
    from fastlb.admin.client import ask_fastlb

    ask_fastlb(folder / "local.sock", "/_mlb_signal/usr1")
    return ExitCode.OK


def _reload_at(socket: Path) -> int:
    from fastlb.master import Master

    outcome = Master(socket, timeout_s=ANSWER_WITHIN_S).reload(RELOADED_WITHIN_S)
    if not outcome.ok:
        raise FastlbError(f"HAProxy was not reloaded: {outcome.log}")
    return ExitCode.OK


def _health(folder: Path) -> int:
    """Ask HAProxy itself: while it serves, the container is of use, whatever becomes of the controller."""
    from fastlb.runtime_api import RuntimeApi

    RuntimeApi(folder / "socket", ANSWER_WITHIN_S).ask("show info")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
