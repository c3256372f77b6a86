"""What several of these tests use: requests in short, a stream that is followed, a DC/OS to log in to."""

from __future__ import annotations

import base64
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import orjson
from cryptography.hazmat.primitives import serialization

from fastlb.marathon import BasicLogin, EventStream, MarathonClient, MarathonConfig
from tests.fakes.marathon_http import FakeMarathon, answer, json_answer, silence

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import rsa

    from fastlb.events import StreamMessage

APPS = "/v2/apps"
EVENTS = "/v2/events"
STATUS = b'event: status_update_event\r\ndata: {"eventType":"status_update_event","appId":"/a"}\r\n\r\n'
PASSWORD = "s3cret-w0rd"
BASIC = BasicLogin("ops", PASSWORD)
BASIC_HEADER = "Basic " + base64.b64encode(f"ops:{PASSWORD}".encode()).decode()


BAD_ANSWERS = {
    "HTTP 500 Internal Server Error": json_answer({"message": "x"}, 500),
    "HTTP 502 Bad Gateway": answer(b"<html>Could not determine the current leader</html>", 502, "text/html"),
    "HTTP 401 Unauthorized": answer(b"<html>login</html>", 401, "text/html"),
    "answered HTML (21 bytes)": answer(b"<html>welcome</html>\n", 200, "text/html"),
    "half a JSON (16 bytes)": answer(b'{"apps":[{"id":"'),
    "broken JSON (4 bytes)": answer(b"pong"),
    "an empty answer": answer(b""),
    "answered JSON without a list of apps": json_answer({"message": "hm"}),
    "answered a list of apps of which none has an id": json_answer({"apps": [{"name": "/web"}, {"id": 7}]}),
    "answered JSON that is no object": json_answer([]),
    "end of response with 86 bytes missing": answer(b'{"apps": [{"id', promised_bytes=100),
    "no byte for 1 s": silence,
}


class Followed:
    """A running stream and the messages that it has delivered so far."""

    def __init__(self, config: MarathonConfig) -> None:
        self.messages: list[StreamMessage] = []
        self.stream = EventStream(config, self.messages.append)
        self.stream.start()

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]


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


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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
