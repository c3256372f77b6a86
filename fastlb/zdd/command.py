"""``fastlb zdd``: flags to a run and its exit code (COMPAT.md 9); the one room that knows all others of the package.

    file, flags --begin--> create, pursue --> exit code

Nothing is changed before the file, Marathon, the group and the load balancers are known to be usable, the user agrees,
and the lock of the group is held; then the group is read once more, since another run may have changed it meanwhile.
"""

from __future__ import annotations

import signal
import sys
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from urllib.parse import urlsplit

from fastlb.deployment import STARTED_AT
from fastlb.errors import UsageError
from fastlb.marathon_settings import read_marathon
from fastlb.resolver import Resolver
from fastlb.zdd.balancers import BalancerError, Balancers
from fastlb.zdd.definitions import group_of, read_definition
from fastlb.zdd.deploy import Hands, Limits, patiently, pursue
from fastlb.zdd.hooks import run_hook
from fastlb.zdd.lease import Lease, left_by
from fastlb.zdd.machine import foreseen
from fastlb.zdd.marathon import Marathon, TroubleError
from fastlb.zdd.outcomes import Code, ZddError
from fastlb.zdd.progress import Form, Progress
from fastlb.zdd.start import Begin, Wish, backwards, begin
from fastlb.zdd.state import read_side

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from fastlb.marathon import MarathonConfig
    from fastlb.zdd.definitions import Json
    from fastlb.zdd.machine import Aim

KEPT_NAMES = 1000
INTERRUPTED = 130
TERMINATED = 143
GO_ON = "go on with --resume, or go back with --complete-prev"
GO_BACK = "go on going back with --complete-prev"


class Run(NamedTuple):
    """One run: what it was started with, and what it works with."""

    args: argparse.Namespace
    definition: Json
    started_at: str
    hands: Hands

    @property
    def group(self) -> str:
        """The name of its deployment group."""
        return group_of(self.definition) or ""

    def apps(self) -> list[Json]:
        """Read the group's apps."""
        return patiently(self.hands, Code.READ, lambda: self.hands.marathon.group(self.group))


def zdd_command(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run ``fastlb zdd`` and return its exit code. Raises UsageError and CredentialsError."""
    _check(args)
    config = read_marathon(args, environ)
    progress = Progress(Form(args.output))
    try:
        with _terminable(), closing(progress), closing(Marathon(config)) as marathon:
            definition = _read_file(Path(args.json))
            hands = _hands(args, definition, marathon, progress)
            return _run(Run(args, definition, datetime.now().isoformat(), hands), config)  # noqa: DTZ005 - COMPAT.md 9.2
    except ZddError as error:
        return _failed(progress, error.code, str(error))
    except EOFError:
        return _failed(progress, Code.UNEXPECTED, "nobody answers; --force does not ask")
    except KeyboardInterrupt:
        return _failed(progress, INTERRUPTED, f"interrupted; {GO_ON}")
    except SystemExit:
        return _failed(progress, TERMINATED, f"terminated; {GO_ON}")


def _run(run: Run, config: MarathonConfig) -> int:
    start = _begin(run, run.apps())
    _show(run, start)
    if run.args.dry_run:
        return Code.DONE
    if start.aim:
        _look_at_balancers(run)
    if start.definition:
        run.hands.agrees("Continue with deployment? [Y/n] ")
    with closing(Marathon(config)) as beating, Lease(run.hands.marathon, beating, run.definition["id"]) as lease:
        patiently(run.hands, Code.CREATE, lambda: lease.take(start.wanted_id))
        apps = run.apps()
        if _begin(run, apps) != start:
            raise ZddError(Code.TAKEN, f"the apps of {run.group} changed meanwhile; nothing was done, start again")
        held = run._replace(hands=run.hands._replace(before_change=lease.check))
        outcome = _carry_out(held, start, apps)
    run.hands.progress.say("done", outcome)
    return Code.DONE


def _carry_out(run: Run, start: Begin, apps: Sequence[Json]) -> str:
    """Do what there is to do, hooks before and after it; return what came of it."""
    old, new = _pair(start, apps)
    if not start.over:
        _hook(run, run.args.before_start_hook, old, start.definition or new)
    if start.definition:
        _create(run, start.definition)
    outcome = _pursue(run, start.aim) if start.aim else f"{start.wanted_id} is {'alone' if start.over else 'created'}"
    now = {app["id"]: app for app in run.apps()} if run.args.after_finish_hook else {}
    try:
        _hook(run, run.args.after_finish_hook, old, now.get(start.wanted_id), outcome)
    except ZddError as error:
        raise ZddError(error.code, f"{outcome}, but {error}") from error
    return outcome


def _pair(start: Begin, apps: Sequence[Json]) -> tuple[Json | None, Json | None]:
    """Return the old and the new app as they are now."""
    by_id = {app["id"]: app for app in apps}
    return (by_id.get(start.aim.old_id), by_id.get(start.aim.new_id)) if start.aim else (None, None)


def _pursue(run: Run, aim: Aim) -> str:
    """Reach the aim, or go back if that is wished for. Raises ZddError, after going back too (ROLLED_BACK)."""
    try:
        pursue(aim, run.hands)
    except ZddError as error:
        if error.code is not Code.NOT_HEALTHY or not run.args.rollback or aim.forces:
            raise ZddError(error.code, f"{error}; {GO_BACK if aim.forces else GO_ON}") from error
        _go_back(run, aim, error)
    if aim.split:
        return f"{aim.new_id} has {aim.split} of {aim.total} instances, {aim.old_id} the others"
    return f"{aim.new_id} has taken over from {aim.old_id}"


def _go_back(run: Run, aim: Aim, reason: ZddError) -> NoReturn:
    run.hands.progress.say("rollback", f"{reason}; going back to {aim.old_id}")
    sides = {app["id"]: read_side(app) for app in run.apps()}
    if not sides.keys() >= {aim.new_id, aim.old_id}:
        raise ZddError(Code.UNEXPECTED, f"{reason}; there is no way back, since {' and '.join(sides)} is all there is")
    pursue(backwards(aim, sides[aim.new_id], sides[aim.old_id]), run.hands)
    raise ZddError(Code.ROLLED_BACK, f"{reason}; {aim.old_id} has taken over again, {aim.new_id} is deleted")


def _create(run: Run, definition: Json) -> None:
    """Create the new app, once: an answer that got lost is looked up. Raises ZddError (CREATE)."""

    def create() -> None:
        run.hands.before_change()
        try:
            run.hands.marathon.create(definition)
        except TroubleError:
            there = run.hands.marathon.find(definition["id"])
            if there is None:
                raise
            if there["labels"].get(STARTED_AT) != definition["labels"][STARTED_AT]:
                raise ZddError(
                    Code.CREATE, f"there is an app {definition['id']} already, of another deployment"
                ) from None

    patiently(run.hands, Code.CREATE, create)
    run.hands.progress.say("created", f"{definition['id']} created", app_id=definition["id"])


def _begin(run: Run, apps: Sequence[Json]) -> Begin:
    args, marathon = run.args, run.hands.marathon
    goes_on = args.resume or args.complete_cur or args.complete_prev
    wish = Wish(
        initial=args.initial_instances,
        linear=args.linear_increase,
        split=args.new_instances,
        resume=args.resume,
        complete_newer=args.complete_cur,
        complete_older=args.complete_prev,
        left_by=patiently(run.hands, Code.READ, lambda: left_by(marathon, run.definition["id"])) if goes_on else "",
    )
    return begin(run.definition, apps, wish, run.started_at)


def _show(run: Run, start: Begin) -> None:
    """Show the definition, the plan, and what the user should know."""
    progress = run.hands.progress
    if start.definition:
        progress.definition(start.definition)
    for note in start.notes:
        progress.note("note", note)
    if start.aim:
        steps = list(foreseen(start.aim, *start.sizes))
        shown = ", ".join(f"{new}+{old}" for new, old in steps)
        end = (
            f"both stay, {start.aim.split} to {start.aim.total - start.aim.split}"
            if start.aim.split
            else "the old goes"
        )
        tell = progress.note if run.args.dry_run else progress.say
        tell("plan", f"{start.aim.old_id} to {start.aim.new_id}, new+old: {shown}; {end}", steps=steps)


def _hands(args: argparse.Namespace, definition: Json, marathon: Marathon, progress: Progress) -> Hands:
    def before_kill(loser: Json, task_ids: Sequence[str], other: Json) -> None:
        if args.pre_kill_hook:
            run_hook(args.pre_kill_hook, (loser, list(task_ids), other), args.hook_timeout)

    def agrees(question: str) -> None:
        if not args.force and not progress.ask(question):
            raise ZddError(Code.DECLINED, "declined")

    token = _read_file_line(Path(args.admin_token_file)) if args.admin_token_file else ""
    return Hands(
        marathon=marathon,
        balancers=Balancers(args.marathon_lb, args.balancer_timeout, app_id=f"/{group_of(definition)}", token=token),
        resolver=Resolver(KEPT_NAMES),
        progress=progress,
        limits=Limits(args.step_delay, args.max_wait, args.health_timeout, args.retry_for),
        before_change=lambda: None,
        before_kill=before_kill,
        agrees=agrees,
    )


def _look_at_balancers(run: Run) -> None:
    try:
        run.hands.balancers.look()
    except BalancerError as error:
        raise ZddError(Code.BALANCER, f"{error}; nothing was changed") from error


def _hook(run: Run, path: str | None, *values: object) -> None:
    if path:
        run_hook(path, values, run.args.hook_timeout)


def _check(args: argparse.Namespace) -> None:
    """Refuse flags that are missing or contradict each other. Raises UsageError."""
    for name in ("marathon", "marathon_lb", "json"):
        if not getattr(args, name):
            raise UsageError(f"--{name.replace('_', '-')} is required")
    if args.complete_cur and args.complete_prev:
        raise UsageError("--complete-cur and --complete-prev are two ways; choose one")
    for url in args.marathon_lb:
        try:
            usable = bool(urlsplit(url).hostname and urlsplit(url).port)
        except ValueError:
            usable = False
        if not usable:
            raise UsageError(f"--marathon-lb {url}: http://HOST:PORT is needed, with the port")


def _read_file(path: Path) -> Json:
    try:
        return read_definition(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ZddError(Code.UNEXPECTED, f"{path} cannot be read: {error}") from error
    except ZddError as error:
        raise ZddError(error.code, f"{path}: {error}") from error


def _read_file_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ZddError(Code.UNEXPECTED, f"{path} cannot be read: {error}") from error


def _failed(progress: Progress, code: int, message: str) -> int:
    """Say why the run ended, in the form asked for, and return its code."""
    progress.failed(code, message)
    return code


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM end the run as an interruption does, so that the lock is let go."""

    def end(*_: object) -> NoReturn:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
