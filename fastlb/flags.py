"""The flags of every subcommand as one table: name, unit, default, environment variable, meaning.

marathon-lb's flags keep their names and defaults (COMPAT.md 2.1). Each flag has an environment variable,
``FASTLB_`` and its name in capitals; some have an older one that marathon-lb's container knew. A flag beats its
variable, a variable beats the default.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fastlb.flag_words import (
    COMPATIBLE,
    address,
    count,
    form,
    log_place,
    port,
    positive,
    seconds,
    share,
    threads,
    way_with_conflicts,
    word,
)

Environment = Mapping[str, str]

SAYS_NOTHING = {"LIBPROCESS_PORT": "0"}
"""Values that Mesos sets for everybody: any port will do."""


class Flag(NamedTuple):
    """One flag. ``kind``: how a text becomes its value; bool flags take no word; ``many``: "words" or "repeat"."""

    names: str
    kind: Callable[[str], Any]
    default: Any
    help: str
    metavar: str = "TEXT"
    environment: str | None = None
    many: str = ""

    @property
    def destination(self) -> str:
        """Return the attribute that argparse puts the value in."""
        return self.names.split()[0].lstrip("-").replace("-", "_")

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the environment variables that set it, first one first."""
        own = f"FASTLB_{self.destination.upper()}"
        return (own, self.environment) if self.environment else (own,)


MARATHON = (
    Flag("--marathon -m", str, ["http://master.mesos:8080"], "base URLs of Marathon", "URL", many="words"),
    Flag("--marathon-auth-credential-file", str, None, "file whose first line is user:password", "PATH"),
    Flag("--auth-credentials", str, None, "user:password for basic authentication", "U:P"),
    Flag(
        "--dcos-auth-credentials",
        str,
        None,
        "DC/OS service account, the JSON itself",
        "JSON",
        "DCOS_SERVICE_ACCOUNT_CREDENTIAL",
    ),
    Flag("--marathon-ca-cert", str, None, "CA file for Marathon; without it the system's CAs are used", "PATH"),
    Flag("--insecure", bool, False, "do not verify Marathon's TLS certificate"),
    Flag(
        "--select-by-group",
        bool,
        False,
        "ask Marathon only for apps whose label HAPROXY_GROUP is exactly one --group; see operating.md for what that "
        "leaves out",
    ),
    Flag("--marathon-connect-timeout", seconds, 3.05, "longest wait for a connection to Marathon, seconds", "S"),
    Flag("--marathon-read-timeout", seconds, 46.0, "longest wait for an answer of Marathon, seconds", "S"),
)

STREAM = (
    Flag("--max-backoff", seconds, 300.0, "ceiling of the delay before the stream is opened again, seconds", "S"),
    Flag("--heartbeat-timeout", seconds, 30.0, "a stream silent for so long is given up, seconds", "S"),
)

GENERATION = (
    Flag("--haproxy-config", str, "/etc/haproxy/haproxy.cfg", "the configuration file; maps lie beside it", "PATH"),
    Flag("--group", str, [], "take services of this group; * takes all", "NAME", many="repeat"),
    Flag("--strict-mode", bool, False, "services are off unless HAPROXY_{n}_ENABLED is true"),
    Flag("--health-check -H", bool, False, "use only tasks that Marathon's health checks call alive"),
    Flag("--haproxy-map", bool, False, "route vhosts and app ids through map files"),
    Flag("--dont-bind-http-https", bool, False, "leave out the frontends on the http and https ports"),
    Flag("--group-https-by-vhost", bool, False, "give each vhost a TLS frontend of its own"),
    Flag("--ssl-certs", str, "/etc/ssl/cert.pem", "certificates of the https frontend, comma-separated", "LIST"),
    Flag(
        "--conflicts",
        way_with_conflicts,
        COMPATIBLE,
        "apps that ask for one vhost or service port: compatible writes all; first: the oldest definition has it",
        "WAY",
    ),
    Flag("--policy", str, None, "file that says which labels, vhosts and ports apps may use (policy.md)", "PATH"),
    Flag("--strict-sni", bool, False, "refuse TLS for names that no certificate of the https frontend is for"),
    Flag("--haproxy-user", word, None, "HAProxy's workers become this user, once they have their ports", "USER"),
    Flag("--min-serv-port-ip-per-task", count, 10050, "first port of the assigned range; 0 in both: off", "PORT"),
    Flag("--max-serv-port-ip-per-task", count, 10100, "last port of the assigned range", "PORT"),
    Flag("--bind-address", word, "*", "address of all frontends that no label binds elsewhere", "ADDR"),
    Flag("--http-port", port, 80, "port of the shared http frontend", "PORT"),
    Flag("--https-port", port, 443, "port of the shared https frontend", "PORT"),
    Flag("--appid-port", port, 9091, "port of the app-id frontend", "PORT"),
    Flag("--stats-port", port, 9090, "port of the statistics page", "PORT", "LIBPROCESS_PORT"),
    Flag(
        "--stats-address",
        address,
        None,
        "address of the statistics page; default: --bind-address, also where this machine does not have it",
        "ADDR",
        "LIBPROCESS_IP",
    ),
    Flag("--maxconn", count, 50000, "connections at once, lowered to fit the limit of open files", "N"),
    Flag(
        "--threads",
        threads,
        0,
        "threads of HAProxy, at most 64; 0: one per processor",
        "N",
        "LIBPROCESS_NUM_WORKER_THREADS",
    ),
    Flag("--hard-stop-after", count, 3600, "HAProxy itself ends an old worker after so many seconds; 0: never", "S"),
    Flag("--max-old-workers", positive, 10, "workers that finish what they hold after a reload, at most", "N"),
    Flag(
        "--mworker-max-reloads",
        count,
        0,
        "HAProxy itself ends a worker after so many reloads; 0: --max-old-workers with --command, else 50",
        "N",
    ),
    Flag("--haproxy", str, None, "the HAProxy program; default: the one found on this machine", "PATH", "HAPROXY"),
    Flag("--haproxy-version", str, None, "write text for this version; default: that of the HAProxy found", "X.Y"),
    Flag(
        "--run-dir",
        str,
        None,
        "folder of sockets; default: /var/run/haproxy for root, else beside --haproxy-config",
        "DIR",
    ),
    Flag(
        "--haproxy-log",
        log_place,
        "syslog",
        "where the default head has HAProxy log requests: syslog (/dev/log, if it is there), stdout or none",
        "WHERE",
    ),
    Flag("--lru-cache-capacity", count, 1000, "host names whose address is kept", "N"),
)

APPLY = (
    Flag("--command -c", str, None, "reload command of a HAProxy that somebody else runs", "CMD"),
    Flag("--max-reload-retries", int, 10, "runs of a command without a new process; negative: until the limit", "N"),
    Flag("--reload-interval", seconds, 10.0, "seconds between two runs of a command", "S"),
    Flag(
        "--reload-through",
        str,
        None,
        "command that reloads the HAProxy that fastlb runs, by reload_haproxy.sh in the end; default: fastlb itself",
        "CMD",
    ),
    Flag("--reload-settle", seconds, 0.05, "quiet time before a reload, so that several become one, seconds", "S"),
    Flag("--reload-settle-max", seconds, 1.0, "longest wait of a reload for quiet, seconds", "S"),
    Flag("--reload-only", bool, False, "change nothing in a running HAProxy, reload it for everything"),
    Flag(
        "--audit-interval", seconds, 60.0, "all of HAProxy is compared with what it should be in so long, 0: never", "S"
    ),
    Flag("--drain-timeout", seconds, 300.0, "connections may last so long on a server that left, seconds", "S"),
    Flag("--reload-timeout", seconds, 120.0, "longest wait for a reload to end, seconds", "S"),
    Flag("--max-old-worker-age", seconds, 1800.0, "an older one is ended, 0: never, seconds", "S"),
    Flag("--max-old-workers-memory", count, 0, "memory of all together, MiB; 0: a quarter of what is there", "MIB"),
    Flag("--reload-patience", seconds, 5.0, "a reload that leaves too many waits so long for one to go, seconds", "S"),
    Flag("--controller-timeout", seconds, 300.0, "a hung controller is killed after so long; 0: never, seconds", "S"),
    Flag("--validation-timeout", seconds, 120.0, "longest wait for a validation to end, seconds", "S"),
    Flag("--archive-versions", count, 5, "past files kept in /tmp", "N"),
    Flag("--skip-validation", bool, False, "do not run haproxy -c before a file is replaced"),
    Flag("--skip-config-cleanup", bool, False, "do not look for the app to blame for an invalid file"),
    Flag("--dry -d", bool, False, "print the configuration once, change nothing"),
    Flag("--stop-grace", seconds, 8.0, "HAProxy may finish what it holds for so long at the end, seconds", "S"),
)

LOOP = (
    Flag("--sse -s", bool, False, "follow the event stream (what the sse subcommand does)"),
    Flag("--settle", seconds, 0.002, "quiet time after an event before Marathon is asked, seconds", "S"),
    Flag("--settle-max", seconds, 0.05, "longest wait for quiet, seconds", "S"),
    Flag("--bulk-threshold", count, 50, "more changed apps than that are read as everything at once", "N"),
    Flag("--resync-interval", seconds, 300.0, "everything is read again after so many seconds", "S"),
    Flag("--empty-grace", seconds, 120.0, "a sudden answer without apps is held back for so long, seconds", "S"),
    Flag(
        "--shrink-share",
        share,
        0.5,
        "if more than this share of apps or tasks is missing at once, they are kept for --shrink-grace; 1: never",
        "X",
    ),
    Flag("--shrink-least", positive, 10, "fewer apps (or tasks) than that are not protected so", "N"),
    Flag("--shrink-grace", seconds, 120.0, "what is missing at once is kept so long, or until SIGHUP, seconds", "S"),
)

POLL = (
    Flag("--poll-interval", seconds, 60.0, "seconds between two reads of Marathon", "S", "POLL_INTERVAL"),
    Flag("--once", bool, False, "one pass, then exit"),
)

LOGGING = (
    Flag("--syslog-socket", str, "/dev/log", "syslog socket; /dev/null: none", "PATH", "SYSLOG_SOCKET"),
    Flag("--log-format", str, "%(asctime)-15s %(name)s: %(message)s", "Python logging format, or json", "F"),
    Flag("--log-level", str, "DEBUG", "CRITICAL, ERROR, WARNING, INFO, DEBUG or NOTSET; INFO is for production", "L"),
)

ADMIN = (
    Flag(
        "--advertise-address",
        word,
        None,
        "address at which operators reach the statistics page, for the log and the metrics; default: --stats-address, "
        "else HOST",
        "ADDR",
        "LIBPROCESS_ADVERTISE_IP",
    ),
    Flag(
        "--advertise-port",
        port,
        None,
        "port at which they do; default: what the agent maps to --stats-port, else --stats-port",
        "PORT",
        "LIBPROCESS_ADVERTISE_PORT",
    ),
    Flag(
        "--admin-access",
        word,
        [],
        "who may use the administrative paths that begin so: any, off, or private, token and networks joined by +",
        "PATH=WHO",
        many="repeat",
    ),
    Flag("--admin-token-file", str, None, "file with the token that --admin-access may ask for", "PATH"),
    Flag(
        "--snapshot-rate-limit",
        str,
        "2/1secs",
        "how often /metrics/snapshot answers, in libprocess's form; none: no limit",
        "N/TIME",
        "LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT",
    ),
    Flag("--synced-within", seconds, 900.0, "/_fastlb/synced fails after so long without Marathon, seconds", "S"),
)

RENDER = (
    Flag("--apps-file", str, None, "read apps from this file (- is standard input) instead of Marathon", "FILE"),
    Flag("--output-dir", str, None, "write haproxy.cfg and the maps here instead of printing", "DIR"),
)

TOP = (
    *(flag for flag in GENERATION if flag.destination in {"haproxy_config", "run_dir"}),
    Flag("--interval", seconds, 1.0, "it is asked again after so many seconds", "S"),
    Flag("--once", bool, False, "print one picture and end; so does a pipe"),
)

EXPLAIN = (
    Flag("--apps-file", str, None, "explain what this answer of Marathon would lead to (- is standard input)", "FILE"),
    Flag("--all-problems", bool, False, "list everything in the cluster that is left out, one line each"),
    Flag("--json", bool, False, "answer in JSON"),
)


ZDD = (
    Flag("--marathon-lb -l", str, [], "statistics endpoints of the load balancers, port included", "URL", many="words"),
    Flag("--json -j", str, None, "the app's definition; comments and nulls count as nothing", "FILE"),
    Flag("--dry-run -d", bool, False, "print the definition and the plan, change nothing"),
    Flag("--force -f", bool, False, "do not ask"),
    Flag("--step-delay -s", seconds, 5.0, "longest pause between two looks, seconds", "S"),
    Flag("--initial-instances -i", count, 1, "instances of the new app at the start", "N"),
    Flag("--linear-increase", count, 0, "grow by N instances instead of by half", "N"),
    Flag("--resume -r", bool, False, "go on with the deployment in progress; a split stays one"),
    Flag("--max-wait -w", seconds, 300.0, "longest wait for draining in one step, seconds", "S"),
    Flag("--new-instances -n", count, 0, "split: stop at N new instances and keep the rest of the old ones", "N"),
    Flag("--complete-cur -c", bool, False, "finish the deployment in progress towards the newer app"),
    Flag("--complete-prev -p", bool, False, "go back to the older app"),
    Flag("--pre-kill-hook", str, None, "run before tasks are killed: PATH OLD TASKS NEW, in JSON", "PATH"),
    Flag("--before-start-hook", str, None, "run before anything is changed: PATH OLD NEW, in JSON or null", "PATH"),
    Flag("--after-finish-hook", str, None, "run when all is done: PATH OLD NEW OUTCOME, in JSON", "PATH"),
    Flag("--hook-timeout", seconds, 300.0, "a hook that runs longer is ended, and the run stops, seconds", "S"),
    Flag("--health-timeout", seconds, 300.0, "longest wait for new tasks to be healthy in one step, seconds", "S"),
    Flag("--rollback", bool, False, "go back to the older app by itself if the new one does not get healthy"),
    Flag("--retry-for", seconds, 120.0, "longest time that Marathon is locked or out of reach, seconds", "S"),
    Flag("--balancer-timeout", seconds, 10.0, "longest wait for an answer of a load balancer, seconds", "S"),
    Flag("--admin-token-file", str, None, "file with the token of fastlb's administrative paths", "PATH"),
    Flag("--output", form, "text", "how to tell what happens: text, or json for a line for each happening", "FORM"),
)
ZDD_MARATHON = tuple(
    flag._replace(default=[]) if flag.destination == "marathon" else flag
    for flag in MARATHON
    if flag.destination not in {"insecure", "select_by_group"}
)
ZDD_LOGGING = tuple(flag._replace(default="WARNING") if flag.destination == "log_level" else flag for flag in LOGGING)


def add_flags(parser: argparse.ArgumentParser, title: str, flags: tuple[Flag, ...], environ: Environment) -> None:
    """Add ``flags`` to ``parser`` as one group, their defaults taken from ``environ`` where it sets them."""
    group = parser.add_argument_group(title)
    for flag in flags:
        default, source = _default(parser, flag, environ)
        options: dict[str, Any] = {"default": default, "help": _help(flag, source)}
        if flag.kind is bool:
            group.add_argument(*flag.names.split(), action="store_true", **options)
        elif flag.many == "repeat":
            group.add_argument(*flag.names.split(), action=_Repeat, type=flag.kind, metavar=flag.metavar, **options)
        else:
            nargs = "+" if flag.many == "words" else None
            group.add_argument(*flag.names.split(), nargs=nargs, type=flag.kind, metavar=flag.metavar, **options)


class _Repeat(argparse.Action):
    """Collects a repeated flag; the first one given replaces the default."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _option: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if before is self.default else [*before, values])


def _default(parser: argparse.ArgumentParser, flag: Flag, environ: Environment) -> tuple[Any, str | None]:
    name = next((name for name in flag.variables if environ.get(name, "") not in {"", SAYS_NOTHING.get(name)}), None)
    if name is None:
        return flag.default, None
    text = environ[name]
    try:
        if flag.kind is bool:
            return text.lower() in {"1", "true", "t", "yes", "y"}, name
        if flag.many:
            return [flag.kind(item) for item in text.replace(",", " ").split()], name
        return flag.kind(text), name
    except (ValueError, argparse.ArgumentTypeError) as error:
        parser.error(f"environment variable {name}: {error}")


def _help(flag: Flag, source: str | None) -> str:
    shown = " ".join(flag.default) if isinstance(flag.default, list) else flag.default
    default = f"; default: {shown}" if flag.kind is not bool and shown not in {None, ""} else ""
    origin = f"; now set by {source}" if source else ""
    return f"{flag.help}{default} [{', '.join(flag.variables)}]{origin}".replace("%", "%%")
