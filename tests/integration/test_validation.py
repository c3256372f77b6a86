"""What a real HAProxy says about broken files: the guilty line or name is found, whatever its version."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastlb.errors import HAProxyError
from fastlb.haproxy import HAProxy, find_haproxy
from fastlb.validation import Complaint, read_complaints, validate

pytestmark = pytest.mark.haproxy

GOOD = """global
    maxconn 100
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend in
    bind 127.0.0.1:18080
    default_backend good
backend good
    server s1 127.0.0.1:1
"""
LINES = GOOD.count("\n")
WORDS = " ".join(f"w{number}" for number in range(70))


@dataclass(frozen=True)
class Broken:
    """Text after the good part; the guilty line counted in it (from 1), and names that have to be quoted."""

    text: str
    line: int | None = None
    names: frozenset[str] = frozenset()

    @property
    def lines(self) -> set[int]:
        return set() if self.line is None else {LINES + self.line}


def broken(*lines: str, line: int | None = None, names: str = "") -> Broken:
    return Broken("".join(f"{one}\n" for one in lines), line, frozenset(names.split()))


SERVER = "  server a 127.0.0.1:1"
FRONTEND = ("frontend bad", "  bind 127.0.0.1:18081")
CASES = {
    "unknown keyword": broken("backend bad", "  frobnicate yes", SERVER, line=2),
    "unknown section": broken("quux bad", line=1),
    "unknown balance": broken("backend bad", "  balance nonsense", SERVER, line=2),
    "unknown mode": broken("backend bad", "  mode quux", line=2),
    "rspadd": broken("backend bad", "  rspadd X-A:\\ b", SERVER, line=2),
    "bad http-request": broken("backend bad", "  http-request frobnicate", SERVER, line=2),
    "bad redirect": broken("backend bad", "  http-request redirect foo bar", SERVER, line=2, names="bad"),
    "unknown fetch in a format": broken("backend bad", "  http-request set-header X %[no]", SERVER, line=2),
    "bad acl": broken(*FRONTEND, "  acl x nonsense(a) b", line=3),
    "missing acl": broken(*FRONTEND, "  use_backend good if nosuch", line=3),
    "missing userlist": broken(
        "backend bad", "  acl u http_auth(nolist)", "  http-request auth unless u", line=2, names="nolist bad"
    ),
    "missing group": broken("userlist u", "  user x insecure-password y groups nog", names="u"),
    "missing certificate": broken("frontend bad", "  bind 127.0.0.1:18081 ssl crt /no/x.pem", line=2),
    "missing CA file": broken("backend bad", f"{SERVER} ssl ca-file /no/x", line=2, names="bad a"),
    "missing map": broken(*FRONTEND, "  use_backend %[req.hdr(host),map(/no/x.map)]", line=3),
    "missing default backend": broken(*FRONTEND, "  default_backend nosuch", names="bad nosuch"),
    "missing backend": broken(*FRONTEND, "  use_backend nosuch if { path / }", names="bad nosuch"),
    "missing stick table": broken("backend bad", "  stick on src table nosuch", SERVER, names="bad"),
    "missing server": broken("backend bad", "  use-server no if { path / }", SERVER, names="bad no"),
    "missing tracked server": broken("backend bad", f"{SERVER} track bad/no", line=2, names="bad a no"),
    "missing resolvers": broken("backend bad", f"{SERVER} resolvers no", names="bad a no"),
    "duplicate backend": broken("backend good", SERVER, line=1, names="good"),
    "duplicate server": broken("backend bad", SERVER, "  server a 127.0.0.1:2", line=3, names="bad a"),
    "duplicate server id": broken(
        "backend bad", f"{SERVER} id 5", "  server b 127.0.0.1:2 id 5", line=3, names="bad b a"
    ),
    "unresolvable server": broken("backend bad", "  server a no.such.invalid:80", line=2, names="bad a"),
    "bad port": broken("backend bad", "  server a 127.0.0.1:99999", line=2, names="bad a"),
    "bad weight": broken("backend bad", f"{SERVER} weight 9999", line=2, names="bad a"),
    "bad health check": broken("backend bad", "  http-check expect status frob", line=2),
    "http frontend to tcp backend": broken(
        "backend bad", "  mode tcp", SERVER, "frontend f", "  bind 127.0.0.1:18081", "  default_backend bad",
        line=4, names="bad f",
    ),
    "more than 64 words": broken(*FRONTEND, f"  acl x path {WORDS}", line=3),
    "unmatched quote": broken("backend bad", '  server a 127.0.0.1:1 "open', line=2),
}  # fmt: skip


@pytest.fixture(scope="module")
def haproxy() -> HAProxy:
    return find_haproxy(None, os.environ)


@pytest.fixture
def config(tmp_path) -> Path:
    return tmp_path / "haproxy.cfg"


def test_a_good_file_is_accepted_without_complaints(haproxy, config):
    config.write_text(GOOD)
    verdict = validate(haproxy, config, timeout_s=20)
    assert (verdict.ok, verdict.complaints) == (True, ())
    assert verdict.seconds > 0


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_guilty_line_or_name_of_a_broken_file_is_found(haproxy, config, case):
    config.write_text(GOOD + case.text)
    verdict = validate(haproxy, config, timeout_s=20)
    fatal = [complaint for complaint in verdict.complaints if complaint.fatal]
    assert not verdict.ok
    assert {complaint.line for complaint in fatal} - {None} == case.lines, verdict.output
    assert case.names <= {name for complaint in fatal for name in complaint.names}, verdict.output


def test_a_file_without_a_final_line_end_is_refused_at_its_last_line(haproxy, config):
    config.write_text(GOOD.rstrip("\n"))
    (complaint,) = validate(haproxy, config, timeout_s=20).complaints
    assert (complaint.line, complaint.fatal) == (LINES, True)


def test_an_empty_file_is_refused(haproxy, config):
    config.write_text("")
    assert not validate(haproxy, config, timeout_s=20).ok


def test_errors_of_the_second_phase_show_once_those_of_the_first_are_gone(haproxy, config):
    second = "frontend bad\n  bind 127.0.0.1:18081\n  default_backend nosuch\n"
    config.write_text(f"{GOOD}{second}backend worse\n  balance nonsense\n")
    first_phase = validate(haproxy, config, timeout_s=20).complaints
    assert [complaint.line for complaint in first_phase] == [LINES + 5]
    config.write_text(GOOD + second)
    assert [complaint.names for complaint in validate(haproxy, config, timeout_s=20).complaints] == [("bad", "nosuch")]


def test_every_guilty_line_of_many_is_found(haproxy, config):
    config.write_text(GOOD + "".join(f"backend b{number}\n  balance nonsense\n" for number in range(20)))
    complaints = validate(haproxy, config, timeout_s=20).complaints
    assert [complaint.line for complaint in complaints] == [LINES + 2 * number for number in range(1, 21)]


def test_the_same_mistake_reads_the_same_in_another_file_and_process(haproxy, tmp_path):
    texts = []
    for name in ("one.cfg", "two.cfg"):
        (tmp_path / name).write_text(GOOD + CASES["duplicate server id"].text)
        texts.append([complaint.text for complaint in validate(haproxy, tmp_path / name, timeout_s=20).complaints])
    assert texts[0] == texts[1]
    assert texts[0] == [f"'server bad/b' : 'id' : custom id 5 already used at line {LINES + 2} ('server a')."]


def test_a_warning_is_no_reason_to_refuse(haproxy, config):
    config.write_text(GOOD + "backend odd\n  mode tcp\n  cookie x insert\n  server a 127.0.0.1:1\n")
    verdict = validate(haproxy, config, timeout_s=20)
    assert verdict.ok
    assert [(complaint.fatal, complaint.names) for complaint in verdict.complaints] == [(False, ("odd",))]


def test_no_verdict_in_time_or_at_all_is_an_error_and_no_refusal(haproxy, config):
    config.write_text(GOOD)
    with pytest.raises(HAProxyError, match=r"did not finish .*haproxy\.cfg within 0\.0001 s"):
        validate(haproxy, config, timeout_s=0.0001)
    missing = HAProxy(Path("/no/haproxy"), (2, 8, 0), "2.8.0", False, False, False)
    with pytest.raises(HAProxyError, match="/no/haproxy could not be started"):
        validate(missing, config, timeout_s=20)


def test_continuation_lines_belong_to_the_message_before_them():
    output = (
        "[NOTICE]   (7) : haproxy version is 2.8.25\n"
        "[WARNING]  (7) : config : missing timeouts for frontend 'f'.\n"
        "   | Please set\n   | them.\n"
        '[ALERT]    (7) : config : parsing [/x.cfg:3]: unmatched quote at position 4:\n  a "b\n    ^\n'
    )
    assert read_complaints(output, "/x.cfg") == [
        Complaint(None, ("f",), "missing timeouts for frontend 'f'. Please set them.", fatal=False),
        Complaint(3, (), 'unmatched quote at position 4: a "b', fatal=True),
    ]


def test_unprintable_bytes_and_the_dates_of_old_versions_are_not_in_the_text():
    output = "[ALERT] 211/093105 (7) : parsing [/x.cfg:3] : keyword '\x00\x1b[31m' in\tproxy 'bad'.\n"
    assert read_complaints(output, "/x.cfg") == [Complaint(3, ("bad",), "keyword ' [31m' in proxy 'bad'.", fatal=True)]
