from __future__ import annotations

import base64
import logging
import socket
import ssl
import threading
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import orjson
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fastlb.errors import CredentialsError, LoginError, MarathonUnreachable, UsageError
from fastlb.events import EventArrived, StreamLost, StreamOpened
from fastlb.marathon import (
    BasicLogin,
    DcosLogin,
    EventStream,
    MarathonClient,
    MarathonConfig,
    NoLogin,
    Selector,
    Tls,
    Told,
    login_from_credential_file,
    login_from_user_pass,
    login_from_vault,
)
from fastlb.marathon import stream as stream_room
from fastlb.marathon.http import MOST_AT_ONCE, Http
from fastlb.marathon.transfer import Request
from fastlb.sse import EventDecoder
from tests.fakes.marathon_http import (
    ATTACHED,
    DEADLINE_S,
    FakeMarathon,
    FakeStream,
    answer,
    eventually,
    json_answer,
    protected,
    redirect,
    silence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastlb.events import StreamMessage

APPS = "/v2/apps"
EVENTS = "/v2/events"
STATUS = b'event: status_update_event\r\ndata: {"eventType":"status_update_event","appId":"/a"}\r\n\r\n'
PASSWORD = "s3cret-w0rd"
BASIC = BasicLogin("ops", PASSWORD)
BASIC_HEADER = "Basic " + base64.b64encode(f"ops:{PASSWORD}".encode()).decode()


@pytest.fixture
def marathon() -> Iterator[FakeMarathon]:
    with FakeMarathon() as fake:
        yield fake


@pytest.fixture
def other() -> Iterator[FakeMarathon]:
    with FakeMarathon() as fake:
        yield fake


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[FakeMarathon]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FakeMarathon(context) as fake:
        yield fake


@pytest.fixture
def ca_cert(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def client_of() -> Iterator[Callable[..., MarathonClient]]:
    with ExitStack() as stack:

        def build(*urls: str, **settings: Any) -> MarathonClient:
            return stack.enter_context(closing(MarathonClient(MarathonConfig(urls, **settings))))

        yield build


class Followed:
    """A running stream and the messages that it has delivered so far."""

    def __init__(self, config: MarathonConfig) -> None:
        self.messages: list[StreamMessage] = []
        self.stream = EventStream(config, self.messages.append)
        self.stream.start()

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]


@pytest.fixture
def follow() -> Iterator[Callable[..., Followed]]:
    with ExitStack() as stack:

        def build(*urls: str, **settings: Any) -> Followed:
            followed = Followed(MarathonConfig(urls, **{"max_backoff_s": 0.05, **settings}))
            stack.callback(followed.stream.stop)
            return followed

        yield build


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# Reading apps


def test_apps_are_read_with_the_request_that_marathon_lb_sends(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": [{"id": "/a"}]})
    assert client_of(marathon.url + "/").apps() == [{"id": "/a"}]
    [seen] = marathon.seen
    assert seen.path == "/v2/apps?embed=apps.tasks"
    assert seen.headers["Accept"] == "application/json"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["User-Agent"] == "marathon-lb"


def test_answers_travel_compressed(marathon, client_of):
    apps = [{"id": f"/app-{n}", "env": {"K": "v" * 100}} for n in range(200)]
    marathon.answers[APPS] = json_answer({"apps": apps})
    client = client_of(marathon.url)
    assert client.apps() == apps
    assert 0 < client.received_bytes < len(orjson.dumps(apps)) / 2
    assert client.requests == 1


def test_one_connection_serves_many_requests(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": []})
    client = client_of(marathon.url)
    for _ in range(5):
        client.apps()
    assert len(marathon.connections) == 1
    assert client.requests == 5


def test_a_kept_connection_that_marathon_closed_costs_no_failure(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": []})
    client = client_of(marathon.url)
    client.apps()
    marathon.cut()
    assert client.apps() == []


BAD_ANSWERS = {
    "HTTP 500 Internal Server Error": json_answer({"message": "x"}, 500),
    "HTTP 502 Bad Gateway": answer(b"<html>Could not determine the current leader</html>", 502, "text/html"),
    "HTTP 401 Unauthorized": answer(b"<html>login</html>", 401, "text/html"),
    "answered HTML (21 bytes)": answer(b"<html>welcome</html>\n", 200, "text/html"),
    "half a JSON (16 bytes)": answer(b'{"apps":[{"id":"'),
    "broken JSON (4 bytes)": answer(b"pong"),
    "an empty answer": answer(b""),
    "answered JSON without a list of apps": json_answer({"message": "hm"}),
    "answered JSON that is no object": json_answer([]),
    "end of response with 86 bytes missing": answer(b'{"apps": [{"id', promised_bytes=100),
    "no byte for 1 s": silence,
}


@pytest.mark.parametrize("reason", BAD_ANSWERS)
def test_a_bad_answer_is_named_and_the_next_endpoint_is_asked(reason, marathon, other, client_of):
    marathon.answers[APPS] = BAD_ANSWERS[reason]
    # Only who waits for silence needs a short timeout; the good answers of a busy machine may be late.
    patience = {"read_timeout_s": 1} if BAD_ANSWERS[reason] is silence else {}
    with pytest.raises(MarathonUnreachable) as caught:
        client_of(marathon.url, **patience).apps()
    assert f"{marathon.url}: {reason}" in str(caught.value)
    other.answers[APPS] = json_answer({"apps": [{"id": "/good"}]})
    assert client_of(marathon.url, other.url, **patience).apps() == [{"id": "/good"}]


def test_a_body_of_apps_that_are_no_objects_is_refused(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": [{"id": "/a"}, None]})
    with pytest.raises(MarathonUnreachable, match="without a list of apps"):
        client_of(marathon.url).apps()


def test_when_all_fail_every_endpoint_is_named_with_its_reason(marathon, client_of):
    marathon.answers[APPS] = json_answer({}, 503)
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(MarathonUnreachable) as caught:
        client_of(nobody, marathon.url).apps()
    assert f"{nobody}: connection refused" in str(caught.value)
    assert f"{marathon.url}: HTTP 503" in str(caught.value)


def test_the_endpoint_that_worked_is_asked_first_from_then_on(marathon, other, client_of, caplog):
    marathon.answers[APPS] = json_answer({}, 503)
    other.answers[APPS] = json_answer({"apps": []})
    client = client_of(marathon.url, other.url)
    for _ in range(3):
        client.apps()
    assert len(marathon.seen) == 1
    assert len(other.seen) == 3
    assert f"asked at {other.url} from now on, since {marathon.url}: HTTP 503" in caplog.text
    other.answers[APPS] = json_answer({}, 503)
    marathon.answers[APPS] = json_answer({"apps": []})
    client.apps()
    client.apps()
    assert len(marathon.seen) == 3
    assert len(other.seen) == 4


def test_an_answer_without_end_is_given_up(marathon):
    marathon.answers["/"] = answer(b"x" * 1000)
    http = Http(Tls(), connect_timeout_s=3, read_timeout_s=3, max_body_bytes=999)
    with http, pytest.raises(MarathonUnreachable, match="more than 999 bytes"):
        http.send(Request(marathon.url + "/"))


# Reading single apps


def path_of(app_id: str) -> str:
    return f"/v2/apps{app_id}"


def serve(fake: FakeMarathon, count: int, with_answer: Callable[[Any], Callable[..., None]] = json_answer) -> list[str]:
    """Have a fake answer for this many apps; give their ids."""
    app_ids = [f"/app-{number:02}" for number in range(count)]
    for app_id in app_ids:
        fake.answers[path_of(app_id)] = with_answer({"app": {"id": app_id}})
    return app_ids


def as_found(app_ids: list[str]) -> dict[str, Any]:
    return {app_id: {"id": app_id} for app_id in app_ids}


class AppAnswers(NamedTuple):
    """What single apps are: the JSON of those found by id, None for one that is not there; why others failed."""

    found: dict[str, Any]
    failed: dict[str, str]


def apps_by_id(client: MarathonClient, app_ids: list[str]) -> AppAnswers:
    """Ask for these apps and wait until each of them was told of once."""
    answers = AppAnswers({}, {})
    client.ask(app_ids)
    while len(answers.found) + len(answers.failed) < len(app_ids):
        for app_id, content, failure in client.told():
            assert app_id not in {*answers.found, *answers.failed}
            if failure:
                answers.failed[app_id] = str(failure)
            else:
                answers.found[app_id] = content
    return answers


class Crowd:
    """Holds each answer back until `most` requests were under way at the same time, and notes how many ever were."""

    def __init__(self, most: int) -> None:
        self.seen_at_once = 0
        self._most = most
        self._inside = 0
        self._change = threading.Condition()

    def hold(self, inner: Callable[..., None]) -> Callable[..., None]:
        def respond(handler: Any) -> None:
            with self._change:
                self._inside += 1
                self.seen_at_once = max(self.seen_at_once, self._inside)
                self._change.notify_all()
                self._change.wait_for(lambda: self.seen_at_once >= self._most, DEADLINE_S)
                self._inside -= 1
            inner(handler)

        return respond


def test_an_app_is_read_by_its_path_with_the_slashes_as_they_are(marathon, client_of):
    marathon.answers["/v2/apps/group/web"] = json_answer({"app": {"id": "/group/web"}})
    assert apps_by_id(client_of(marathon.url), ["/group/web"]) == AppAnswers({"/group/web": {"id": "/group/web"}}, {})
    assert marathon.seen[0].headers["User-Agent"] == "marathon-lb"


def test_an_app_that_marathon_does_not_know_is_none(marathon, other, client_of):
    app_ids = serve(marathon, 2)
    found = apps_by_id(client_of(marathon.url, other.url), [*app_ids, "/gone"]).found
    assert found == as_found(app_ids) | {"/gone": None}
    assert other.seen == []


def test_thirty_apps_are_read_eight_at_a_time_over_connections_that_are_kept(marathon, client_of):
    crowd = Crowd(MOST_AT_ONCE)
    app_ids = serve(marathon, 30, lambda document: crowd.hold(json_answer(document)))
    client = client_of(marathon.url)
    for _ in range(2):
        assert apps_by_id(client, app_ids) == AppAnswers(as_found(app_ids), {})
    assert crowd.seen_at_once == MOST_AT_ONCE
    assert len(marathon.connections) == MOST_AT_ONCE
    assert client.requests == len(marathon.seen) == 60


def test_bytes_of_many_answers_are_counted_as_they_were_sent(marathon, client_of):
    app_ids = serve(marathon, 20, lambda document: answer(orjson.dumps(document)))
    client = client_of(marathon.url)
    apps_by_id(client, app_ids)
    assert client.received_bytes == sum(len(orjson.dumps({"app": {"id": app_id}})) for app_id in app_ids)


def test_one_slow_app_does_not_hold_up_the_others(marathon, client_of):
    app_ids = serve(marathon, 30)

    def slow(handler: Any) -> None:
        eventually(lambda: len(marathon.seen) == len(app_ids))
        json_answer({"app": {"id": app_ids[0]}})(handler)

    marathon.answers[path_of(app_ids[0])] = slow
    assert apps_by_id(client_of(marathon.url), app_ids) == AppAnswers(as_found(app_ids), {})


# Silence is tried apart: there the good answers have to come within the timeout, so that it has to be a long one.
BAD_APPS = {**BAD_ANSWERS, "answered JSON without an app": json_answer({"message": "hm"})}
del BAD_APPS["answered JSON without a list of apps"], BAD_APPS["no byte for 1 s"]


@pytest.mark.parametrize("reason", BAD_APPS)
def test_a_bad_answer_for_one_of_twenty_apps_fails_alone_and_is_named(reason, marathon, client_of):
    app_ids = serve(marathon, 20)
    bad = app_ids[7]
    marathon.answers[path_of(bad)] = BAD_APPS[reason]
    answers = apps_by_id(client_of(marathon.url), app_ids)
    assert answers.found == as_found([app_id for app_id in app_ids if app_id != bad])
    assert list(answers.failed) == [bad]
    assert f"{marathon.url}: {reason}" in answers.failed[bad]


def test_an_app_that_marathon_never_answers_for_fails_alone(marathon, client_of):
    app_ids = serve(marathon, 20)
    marathon.answers[path_of(app_ids[7])] = silence
    answers = apps_by_id(client_of(marathon.url, read_timeout_s=3), app_ids)
    assert answers.found == as_found([app_id for app_id in app_ids if app_id != app_ids[7]])
    assert answers.failed == {app_ids[7]: f"no Marathon gave a usable answer: {marathon.url}: no byte for 3 s"}


def test_an_app_with_another_id_is_passed_on_as_it_is(marathon, client_of):
    marathon.answers[path_of("/a")] = json_answer({"app": {"id": "/b"}})
    assert apps_by_id(client_of(marathon.url), ["/a"]).found == {"/a": {"id": "/b"}}


def test_only_the_apps_that_failed_are_asked_for_at_the_next_endpoint(marathon, other, client_of, caplog):
    app_ids = serve(marathon, 20)
    serve(other, 20)
    marathon.answers[path_of(app_ids[3])] = json_answer({}, 500)
    client = client_of(marathon.url, other.url)
    assert apps_by_id(client, app_ids) == AppAnswers(as_found(app_ids), {})
    assert other.paths() == [path_of(app_ids[3])]
    apps_by_id(client, app_ids[:1])
    assert len(other.seen) == 1, "the first endpoint works, so it stays the first"
    assert caplog.text == ""


def test_an_app_that_fails_everywhere_has_the_reason_of_each_endpoint(marathon, other, client_of):
    marathon.answers[path_of("/a")] = json_answer({}, 500)
    other.answers[path_of("/a")] = json_answer({}, 503)
    reason = apps_by_id(client_of(marathon.url, other.url), ["/a"]).failed["/a"]
    assert f"{marathon.url}: HTTP 500" in reason
    assert f"{other.url}: HTTP 503" in reason


def test_the_endpoint_that_gave_single_apps_is_asked_first_from_then_on(marathon, client_of, caplog):
    app_ids = serve(marathon, 20)
    nobody = f"http://127.0.0.1:{free_port()}"
    client = client_of(nobody, marathon.url)
    for _ in range(2):
        assert apps_by_id(client, app_ids) == AppAnswers(as_found(app_ids), {})
    assert client.requests == 2 * len(app_ids) + MOST_AT_ONCE
    assert f"asked at {marathon.url} from now on, since {nobody}: connection refused" in caplog.text


def test_an_endpoint_that_hangs_costs_one_timeout_however_many_apps_are_asked_for(marathon, client_of):
    app_ids = serve(marathon, 30, lambda _: silence)
    answers = apps_by_id(client_of(marathon.url, read_timeout_s=0.3), app_ids)
    assert answers.found == {}
    assert set(answers.failed) == set(app_ids)
    assert all("no byte for 0.3 s" in reason for reason in answers.failed.values())
    assert len(marathon.seen) < 2 * MOST_AT_ONCE


def test_kept_connections_that_marathon_closed_cost_no_failure(marathon, client_of):
    app_ids = serve(marathon, 20)
    client = client_of(marathon.url)
    apps_by_id(client, app_ids)
    marathon.cut()
    assert apps_by_id(client, app_ids).failed == {}


def test_a_client_that_read_single_apps_reads_everything_over_the_same_connections(marathon, client_of):
    app_ids = serve(marathon, 20)
    marathon.answers[APPS] = json_answer({"apps": []})
    client = client_of(marathon.url)
    apps_by_id(client, app_ids)
    connections = len(marathon.connections)
    assert client.apps() == []
    assert len(marathon.connections) == connections


def test_a_follower_of_single_apps_is_followed_with_credentials(marathon, other, client_of):
    app_ids = serve(other, 20, lambda document: protected(BASIC_HEADER, json_answer(document)))
    for app_id in app_ids:
        marathon.answers[path_of(app_id)] = redirect(other.url)
    assert apps_by_id(client_of(marathon.url, login=BASIC), app_ids) == AppAnswers(as_found(app_ids), {})


ODD_IDS = {
    "/group-1/sub.group/0a-b.c-9": "/v2/apps/group-1/sub.group/0a-b.c-9",
    "/a b/100%/c?d#e": "/v2/apps/a%20b/100%25/c%3Fd%23e",
    "/grün": "/v2/apps/gr%C3%BCn",
}


@pytest.mark.parametrize("app_id", ODD_IDS)
def test_an_id_is_quoted_so_that_it_stays_one(app_id, marathon, client_of):
    marathon.answers[ODD_IDS[app_id]] = json_answer({"app": {"id": app_id}})
    assert apps_by_id(client_of(marathon.url), [app_id]).found == {app_id: {"id": app_id}}


def test_an_endpoint_that_hangs_for_one_app_does_not_keep_another_from_the_next_endpoint(marathon, other, client_of):
    marathon.answers[path_of("/hung")] = silence
    other.answers[path_of("/b")] = json_answer({"app": {"id": "/b"}})
    client = client_of(marathon.url, other.url)
    client.ask(["/hung", "/b"])
    marathon.answers[path_of("/b")] = json_answer({}, 500)
    told: list[Told] = []
    while not told:
        told = client.told()
    assert told == [Told("/b", {"id": "/b"})]


def test_what_is_dropped_is_given_up_and_never_told(marathon, client_of):
    app_ids = serve(marathon, 20)
    marathon.answers[path_of(app_ids[0])] = silence
    client = client_of(marathon.url)
    client.ask(app_ids)
    told = client.told()
    client.drop([app_ids[0], app_ids[19]])
    while len(told) < 18:
        told += client.told()
    assert {each.app_id for each in told} == set(app_ids[1:19])
    assert client.told() == []


def test_a_wait_ends_when_it_is_woken(marathon, client_of):
    marathon.answers[path_of("/a")] = silence
    client = client_of(marathon.url)
    client.ask(["/a"])
    eventually(lambda: client.told() == [] and marathon.paths())

    def waited_s(*, woken: bool) -> float:
        began_s = time.monotonic()
        for _ in range(10):
            if woken:
                client.wake()
            assert client.told() == []
        return time.monotonic() - began_s

    assert waited_s(woken=True) < waited_s(woken=False) / 2


# Reading the apps of one's own group only

OURS = {"id": "/ours", "labels": {"HAPROXY_GROUP": "external"}}
LISTED = {"id": "/listed", "labels": {"HAPROXY_GROUP": "external,internal"}}
THEIRS = {"id": "/theirs", "labels": {"HAPROXY_GROUP": "internal"}}


def test_everything_is_asked_for_by_label_and_what_was_not_selected_all_the_same_is_left_out(marathon, client_of):
    marathon.answers[APPS] = json_answer({"apps": [THEIRS, OURS, LISTED]})
    assert client_of(marathon.url, selector=Selector(("external", "a b"))).apps() == [OURS]
    assert marathon.paths() == [
        "/v2/apps?embed=apps.tasks&label=HAPROXY_GROUP%20in%20%28external%2Ca%5C%20b%29",
    ]


def test_a_single_app_that_is_not_selected_counts_as_gone_and_one_that_names_the_group_is_told_of_once(
    marathon, client_of, caplog
):
    for app in (OURS, LISTED, THEIRS):
        marathon.answers[path_of(app["id"])] = json_answer({"app": app})
    client = client_of(marathon.url, selector=Selector(("external",)))
    for _ in range(2):
        found = apps_by_id(client, ["/ours", "/listed", "/theirs"]).found
        assert found == {"/ours": OURS, "/listed": None, "/theirs": None}
    (record,) = caplog.records
    assert record.message.startswith("app /listed is not read: HAPROXY_GROUP in (external) does not select it")


# Login


def test_basic_credentials_are_sent(marathon, client_of):
    marathon.answers[APPS] = protected(BASIC_HEADER, json_answer({"apps": []}))
    assert client_of(marathon.url, login=BASIC).apps() == []


def test_credentials_follow_a_redirect_to_another_server(marathon, other, client_of):
    marathon.answers[APPS] = redirect(other.url)
    other.answers[APPS] = protected(BASIC_HEADER, json_answer({"apps": []}))
    assert client_of(marathon.url, login=BASIC).apps() == []


def test_a_second_redirect_is_not_followed(marathon, other, client_of):
    marathon.answers[APPS] = redirect(other.url)
    other.answers[APPS] = redirect(marathon.url)
    with pytest.raises(MarathonUnreachable, match="redirected more than once"):
        client_of(marathon.url).apps()
    assert len(marathon.seen) == 1


def test_credentials_go_from_http_to_https(marathon, secure, ca_cert, client_of):
    marathon.answers[APPS] = redirect(secure.url)
    secure.answers[APPS] = protected(BASIC_HEADER, json_answer({"apps": []}))
    assert client_of(marathon.url, login=BASIC, ca_cert=ca_cert).apps() == []


def test_credentials_never_go_from_https_to_plain_http(marathon, secure, ca_cert, client_of):
    secure.answers[APPS] = redirect(marathon.url)
    with pytest.raises(MarathonUnreachable, match="redirected from https to plain http; not followed"):
        client_of(secure.url, login=BASIC, ca_cert=ca_cert).apps()
    assert marathon.seen == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secure, client_of):
    secure.answers[APPS] = json_answer({"apps": []})
    with pytest.raises(MarathonUnreachable, match="certificate"):
        client_of(secure.url).apps()


def test_a_certificate_for_another_name_is_refused(secure, ca_cert, client_of):
    secure.answers[APPS] = json_answer({"apps": []})
    with pytest.raises(MarathonUnreachable, match=r"localhost:\d+: .*certificate"):
        client_of(secure.url.replace("127.0.0.1", "localhost"), ca_cert=ca_cert).apps()


def test_any_certificate_is_taken_when_verification_is_off(secure, client_of):
    secure.answers[APPS] = json_answer({"apps": []})
    assert client_of(secure.url, verify_tls=False).apps() == []


@pytest.mark.parametrize("text", ["", "user", "user:pa:ss"])
def test_credentials_need_exactly_one_colon(text):
    with pytest.raises(CredentialsError, match=r"^Please provide marathon credentials in user:pass format$"):
        login_from_user_pass(text)


def test_the_first_line_of_the_credential_file_counts(tmp_path):
    path = tmp_path / "credentials"
    path.write_text("user:pass\r\nmore\n")
    assert login_from_credential_file(path) == BasicLogin("user", "pass")
    path.write_text("\nuser:pass\n")
    assert login_from_credential_file(path) == NoLogin()


def test_a_credential_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere cannot be read: No such file"):
        login_from_credential_file(tmp_path / "nowhere")


def vault_environment(url: str) -> dict[str, str]:
    rest = {"VAULT_HOST": "vault", "VAULT_PORT": "8200", "VAULT_PATH": "secret/lb"}
    return {"VAULT_TOKEN": "t0ken", "VAULT_URL": url, **rest}


def test_vault_is_asked_with_its_token(marathon):
    marathon.answers["/v1/secret/lb"] = json_answer({"data": {"user": "ops", "pass": PASSWORD}})
    assert login_from_vault(vault_environment(marathon.url + "/v1/secret/lb"), Tls()) == BASIC
    assert marathon.seen[0].headers["X-Vault-Token"] == "t0ken"


def test_vault_is_left_alone_unless_everything_is_set(marathon):
    environment = vault_environment(marathon.url)
    del environment["VAULT_PATH"]
    assert login_from_vault(environment, Tls()) == NoLogin()
    assert marathon.seen == []


def test_vault_is_found_by_host_port_and_path_without_a_url(secure, ca_cert):
    secure.answers["/v1/secret/lb"] = json_answer({"data": {"user": "ops", "pass": PASSWORD}})
    port = secure.url.rpartition(":")[2]
    environment = vault_environment("") | {"VAULT_HOST": "127.0.0.1", "VAULT_PORT": port}
    assert login_from_vault(environment, Tls(ca_cert)) == BASIC


@pytest.mark.parametrize("bad", [json_answer({"errors": []}, 403), json_answer({"data": {"user": "ops"}})])
def test_a_vault_without_the_secret_is_named(bad, marathon):
    marathon.answers["/v1/x"] = bad
    with pytest.raises(LoginError, match=r"/v1/x: HTTP \d+ without data.user and data.pass") as caught:
        login_from_vault(vault_environment(marathon.url + "/v1/x"), Tls())
    assert "t0ken" not in str(caught.value)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeDcos:
    """A login endpoint on a fake that checks what it is sent and gives out tokens with rising numbers."""

    def __init__(self, fake: FakeMarathon, key: rsa.RSAPrivateKey) -> None:
        self.fake = fake
        self.key = key
        self.issued = 0
        fake.answers["/acs/api/v1/auth/login"] = self.log_in

    def credential(self) -> str:
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        endpoint = self.fake.url + "/acs/api/v1/auth/login"
        account = {"uid": "lb", "private_key": pem.decode(), "login_endpoint": endpoint, "scheme": "RS256"}
        return orjson.dumps(account).decode()

    def log_in(self, handler: Any) -> None:
        sent = orjson.loads(self.fake.seen[-1].body)
        claims = jwt.decode(sent["token"], self.key.public_key(), algorithms=["RS256"])
        assert claims["uid"] == sent["uid"] == "lb"
        assert sent["exp"] - claims["exp"] == 3600 - 60
        self.issued += 1
        cookie = f"dcos-acs-auth-cookie=token-{self.issued}; Path=/; HttpOnly"
        json_answer({"token": "other"}, headers={"Set-Cookie": cookie})(handler)

    def allow(self, path: str, inner: Callable[..., None], *numbers: int) -> None:
        """Let only the tokens with these numbers through."""

        def respond(handler: Any) -> None:
            allowed = handler.headers.get("Authorization") in {f"token=token-{n}" for n in numbers}
            (inner if allowed else answer(b"", 401))(handler)

        self.fake.answers[path] = respond


@pytest.fixture
def dcos(marathon: FakeMarathon, key: rsa.RSAPrivateKey) -> FakeDcos:
    return FakeDcos(marathon, key)


def test_a_dcos_token_is_bought_once_and_used_again(dcos, client_of):
    dcos.allow(APPS, json_answer({"apps": []}), 1)
    client = client_of(dcos.fake.url, login=DcosLogin(dcos.credential()))
    client.apps()
    client.apps()
    assert dcos.issued == 1


def test_a_dcos_token_is_renewed_on_a_401_and_the_request_repeated(dcos, client_of):
    dcos.allow(APPS, json_answer({"apps": []}), 2)
    assert client_of(dcos.fake.url, login=DcosLogin(dcos.credential())).apps() == []
    assert dcos.issued == 2


def test_a_token_refused_for_many_apps_is_renewed_once_and_only_those_are_asked_for_again(dcos, client_of):
    app_ids = serve(dcos.fake, 20)
    for app_id in app_ids[5:]:
        dcos.allow(path_of(app_id), dcos.fake.answers[path_of(app_id)], 2)
    client = client_of(dcos.fake.url, login=DcosLogin(dcos.credential()))
    assert apps_by_id(client, app_ids) == AppAnswers(as_found(app_ids), {})
    assert dcos.issued == 2
    assert client.requests == 2 + 20 + 15


def test_a_login_that_fails_on_the_way_loses_no_app_that_was_read(dcos, other, client_of):
    app_ids = serve(dcos.fake, 20)
    log_in = dcos.fake.answers["/acs/api/v1/auth/login"]

    def once(handler: Any) -> None:
        (answer(b"", 503) if dcos.issued else log_in)(handler)

    dcos.fake.answers["/acs/api/v1/auth/login"] = once
    dcos.allow(path_of(app_ids[4]), silence, 2)
    answers = apps_by_id(client_of(dcos.fake.url, other.url, login=DcosLogin(dcos.credential())), app_ids)
    assert answers.found == as_found([app_id for app_id in app_ids if app_id != app_ids[4]])
    assert list(answers.failed) == [app_ids[4]]
    assert "/auth/login: HTTP 503 without a token" in answers.failed[app_ids[4]]


def test_a_dcos_token_is_renewed_shortly_before_its_end(dcos, client_of, monkeypatch):
    dcos.allow(APPS, json_answer({"apps": []}), 1, 2)
    client = client_of(dcos.fake.url, login=DcosLogin(dcos.credential()))
    monkeypatch.setattr("fastlb.marathon.login.RENEW_BEFORE_END_S", 3600)
    client.apps()
    client.apps()
    assert dcos.issued == 2


def test_a_refused_dcos_login_is_a_login_error(dcos, client_of):
    dcos.fake.answers["/acs/api/v1/auth/login"] = json_answer({"title": "no"}, 401)
    with pytest.raises(LoginError, match=r"/auth/login: HTTP 401 without a token"):
        client_of(dcos.fake.url, login=DcosLogin(dcos.credential())).apps()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "no JSON"),
        ('{"uid": "u", "login_endpoint": "http://x"}', "lacks private_key"),
        ('{"uid": "u", "login_endpoint": "http://x", "private_key": "SECRET"}', "no RSA key"),
    ],
)
def test_a_dcos_credential_that_cannot_work_is_refused_at_once(text, complaint):
    with pytest.raises(UsageError, match=complaint) as caught:
        DcosLogin(text)
    assert "SECRET" not in str(caught.value)


# The event stream


def test_the_stream_is_asked_for_exactly_what_is_needed(marathon, follow):
    marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    seen = marathon.seen[0]
    assert seen.headers["Accept"] == "text/event-stream"
    assert "plan-format=light" in seen.path
    assert seen.path.count("event_type=") == len(stream_room.SUBSCRIPTION)
    assert "event_type=event_stream_attached" in seen.path


def test_events_arrive_after_the_stream_has_opened(marathon, follow):
    stream = marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages == [StreamOpened(marathon.url)])
    stream.send(STATUS[:20])
    stream.send(STATUS[20:] + b"\r")
    stream.send(b"\n")
    eventually(lambda: followed.of(EventArrived))
    assert followed.messages[1].mark.app_ids == ("/a",)
    assert followed.stream.tally.events == 2


def test_somebody_elses_attachment_is_no_news(marathon, follow):
    stream = marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    stream.send(ATTACHED + STATUS)
    eventually(lambda: followed.of(EventArrived))
    assert len(followed.of(StreamOpened)) == 1


def test_a_stream_that_is_not_confirmed_opens_anyway_and_again_when_it_is(marathon, follow, monkeypatch):
    monkeypatch.setattr(stream_room, "BARRIER_LIMIT_S", 0.1)
    stream = marathon.answers[EVENTS] = FakeStream()
    followed = follow(marathon.url)
    eventually(lambda: followed.messages == [StreamOpened(marathon.url, confirmed=False)])
    stream.send(ATTACHED)
    eventually(lambda: followed.messages[1:] == [StreamOpened(marathon.url)])


def test_garbage_does_not_end_the_stream_and_is_reported_once(marathon, follow, caplog):
    garbage = b"data: {nonsense\n\ndata: 7\n\ndata: {}\n\n" + b'data: {"eventType":"status_update_event"}\n\n'
    marathon.answers[EVENTS] = FakeStream(ATTACHED + garbage + STATUS)
    followed = follow(marathon.url)
    eventually(lambda: followed.of(EventArrived))
    assert followed.stream.tally.garbage == 4
    assert caplog.text.count("it is ignored, the stream goes on") == 1
    assert followed.of(StreamLost) == []


def test_an_event_that_is_too_big_is_counted_and_the_stream_goes_on(marathon, follow, monkeypatch):
    monkeypatch.setattr(stream_room, "EventDecoder", lambda: EventDecoder(200))
    marathon.answers[EVENTS] = FakeStream(ATTACHED + b"data: " + b"x" * 500 + b"\n\n" + STATUS)
    followed = follow(marathon.url)
    eventually(lambda: followed.of(EventArrived))
    assert followed.stream.tally.garbage == 1


def test_a_cut_stream_is_reported_and_opened_again(marathon, follow):
    stream = marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    stream.cut()
    eventually(lambda: len(followed.of(StreamOpened)) == 2)
    [lost] = followed.of(StreamLost)
    assert lost.reason == f"{marathon.url}: Marathon closed it"
    assert 0 <= lost.retry_in_s <= 0.05
    assert followed.stream.tally.connections == 2


def test_a_stream_without_heartbeat_is_given_up(marathon, follow):
    marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url, heartbeat_timeout_s=0.3)
    eventually(lambda: followed.of(StreamLost))
    assert "not even a heartbeat" in followed.of(StreamLost)[0].reason


def test_heartbeats_alone_keep_a_stream(marathon, follow):
    stream = marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url, heartbeat_timeout_s=1.5)
    eventually(lambda: followed.messages)

    enough_s = time.monotonic() + 2.0

    def beaten() -> bool:
        stream.send(b"\r\n")
        return time.monotonic() > enough_s

    eventually(beaten)
    assert followed.messages == [StreamOpened(marathon.url)]


REFUSALS = {
    "HTTP 503 Service Unavailable": answer(b"", 503),
    "HTTP 405 Method Not Allowed": answer(b"", 405),
    "HTTP 304 Not Modified": answer(b"", 304),
    "answered text/html instead of text/event-stream": answer(b"<html></html>", 200, "text/html"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_an_endpoint_that_gives_no_stream_is_named_with_its_reason(reason, marathon, follow):
    marathon.answers[EVENTS] = REFUSALS[reason]
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    assert followed.messages[0].reason == f"{marathon.url}: {reason}"
    assert followed.of(StreamOpened) == []


def test_an_endless_answer_of_another_type_is_refused_by_its_headers(marathon, follow):
    marathon.answers[EVENTS] = FakeStream(content_type="text/plain")
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    assert "answered text/plain" in followed.messages[0].reason


def test_each_connect_goes_to_the_next_endpoint_in_turn(marathon, other, follow):
    streams = [FakeStream(ATTACHED), FakeStream(ATTACHED)]
    marathon.answers[EVENTS], other.answers[EVENTS] = streams
    followed = follow(marathon.url, other.url)
    for count in (1, 2, 3):
        eventually(lambda count=count: len(followed.of(StreamOpened)) == count)
        streams[(count - 1) % 2].cut()
    opened = [message.url for message in followed.of(StreamOpened)]
    assert opened[:3] == [marathon.url, other.url, marathon.url]


def test_the_stream_follows_a_follower_with_its_credentials_and_query(marathon, other, follow):
    marathon.answers[EVENTS] = redirect(other.url)
    other.answers[EVENTS] = protected(BASIC_HEADER, FakeStream(ATTACHED))
    followed = follow(marathon.url, login=BASIC)
    eventually(lambda: followed.messages == [StreamOpened(marathon.url)])
    assert other.seen[0].path == marathon.seen[0].path


def test_the_stream_never_takes_credentials_from_https_to_plain_http(marathon, secure, ca_cert, follow):
    secure.answers[EVENTS] = redirect(marathon.url)
    followed = follow(secure.url, login=BASIC, ca_cert=ca_cert)
    eventually(lambda: followed.messages)
    assert "redirected from https to plain http" in followed.messages[0].reason
    assert marathon.seen == []


def test_a_refused_token_is_renewed_for_the_next_connection(dcos, follow):
    dcos.allow(EVENTS, FakeStream(ATTACHED), 2)
    followed = follow(dcos.fake.url, login=DcosLogin(dcos.credential()))
    eventually(lambda: followed.of(StreamOpened))
    assert [lost.reason for lost in followed.of(StreamLost)] == [f"{dcos.fake.url}: HTTP 401 Unauthorized"]


def test_a_failing_login_never_ends_the_following(dcos, follow):
    log_in = dcos.fake.answers.pop("/acs/api/v1/auth/login")
    dcos.allow(EVENTS, FakeStream(ATTACHED), 1)
    followed = follow(dcos.fake.url, login=DcosLogin(dcos.credential()))
    eventually(lambda: len(followed.of(StreamLost)) >= 3)
    assert "DC/OS login" in followed.messages[0].reason
    dcos.fake.answers["/acs/api/v1/auth/login"] = log_in
    eventually(lambda: followed.of(StreamOpened))


def test_stop_ends_a_connected_stream(marathon, follow):
    marathon.answers[EVENTS] = FakeStream(ATTACHED)
    followed = follow(marathon.url)
    eventually(lambda: followed.messages)
    followed.stream.stop()
    assert not followed.stream.is_alive()
    assert followed.of(StreamLost) == []


def test_stop_ends_a_stream_that_waits_for_an_answer(marathon, follow):
    marathon.answers[EVENTS] = silence
    followed = follow(marathon.url)
    eventually(lambda: marathon.seen)
    followed.stream.stop()
    assert not followed.stream.is_alive()


def test_stop_ends_a_stream_that_is_connecting(follow):
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        # The queue of a listener that accepts nobody is full after a few; the next one is left connecting.
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        followed = follow(f"http://127.0.0.1:{listener.getsockname()[1]}")
        followed.stream.stop()
        assert not followed.stream.is_alive()
        assert followed.messages == []


def test_stop_ends_a_stream_that_waits_to_reconnect(marathon, follow):
    followed = follow(marathon.url, max_backoff_s=300)
    eventually(lambda: followed.messages)
    followed.stream.stop()
    assert not followed.stream.is_alive()


def test_the_wait_grows_up_to_its_ceiling_and_falls_back_after_a_long_life():
    backoff = stream_room.Backoff(max_s=10)
    bounds = []
    for _ in range(5):
        bounds.append(backoff.bound_s)
        assert 0 <= backoff.next_s(lived_s=1) <= bounds[-1]
    assert bounds == [3, 4.5, 6.75, 10, 10]
    assert backoff.next_s(lived_s=601) <= 3
    assert backoff.bound_s == 4.5


# Secrets


def test_credentials_appear_in_no_log_message_or_repr(marathon, other, dcos, follow, client_of, caplog):
    caplog.set_level(logging.DEBUG)
    marathon.answers[APPS] = marathon.answers[EVENTS] = answer(b"", 401)
    other.answers[APPS] = json_answer({"apps": []})
    followed = follow(marathon.url, login=BASIC)
    eventually(lambda: len(followed.messages) > 1)
    client_of(marathon.url, other.url, login=BASIC).apps()
    with pytest.raises(MarathonUnreachable) as caught:
        client_of(marathon.url, login=BASIC).apps()
    login = DcosLogin(dcos.credential())
    with pytest.raises(MarathonUnreachable) as refused:
        client_of(marathon.url, login=login).apps()
    shown = [caplog.text, str(caught.value), str(refused.value), repr(followed.messages)]
    shown += [repr(MarathonConfig((marathon.url,), login=it)) for it in (BASIC, login)]
    shown += [repr(Request("http://x", (), BASIC.headers(None)))]
    secrets = [PASSWORD, BASIC_HEADER.removeprefix("Basic "), "token-1", "PRIVATE KEY"]
    assert [secret for secret in secrets if any(secret in text for text in shown)] == []
    assert "HTTP 401" in caplog.text


def test_a_url_with_credentials_is_refused_without_repeating_them():
    with pytest.raises(UsageError, match="URL of host carries credentials") as caught:
        MarathonConfig((f"http://ops:{PASSWORD}@host:8080",))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("urls", [(), ("marathon:8080",), ("ftp://marathon",), ("http://",)])
def test_urls_that_cannot_be_asked_are_refused(urls):
    with pytest.raises(UsageError):
        MarathonConfig(urls)
