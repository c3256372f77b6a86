"""How fastlb proves to Marathon who it is: not at all, by user and password, or as a DC/OS service account.

It must not know what the proof is used for. Data flows: text that an operator gave (flag, file, Vault,
environment) -> a login -> the secret headers of one request. Every login has the same two verbs, so nobody
asks which one it is. Credentials appear in no message, log line or repr.
"""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from fastlb.errors import CredentialsError, LoginError, MarathonUnreachable, UsageError
from fastlb.marathon.http import Answer, Http
from fastlb.marathon.transfer import Request, Tls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Seconds that a DC/OS token is asked to live, and how long before its end it is replaced (COMPAT.md 2.3).
TOKEN_LIFETIME_S = 3600
RENEW_BEFORE_END_S = 10
#: Seconds that the signed request for a token is good for.
ASSERTION_LIFETIME_S = 60
DCOS_COOKIE = "dcos-acs-auth-cookie"
#: Limits of the one request to Vault, in seconds.
VAULT_CONNECT_TIMEOUT_S = 5.0
VAULT_READ_TIMEOUT_S = 30.0

JSON_HEADERS = ("Accept: application/json", "Content-Type: application/json")


class Login(Protocol):
    """What every login can do."""

    def headers(self, http: Http) -> tuple[str, ...]:
        """Give the secret headers for the next request; `http` is there to log in with.

        Raises:
            LoginError: the login was refused or could not be asked.

        """

    def renew(self) -> bool:
        """Take note of a 401; True when asking for the headers again may give better ones."""


@dataclass(frozen=True, slots=True)
class NoLogin:
    """Marathon asks for nothing."""

    def headers(self, _http: Http) -> tuple[str, ...]:
        """No headers."""
        return ()

    def renew(self) -> bool:
        """There is nothing to renew."""
        return False


@dataclass(frozen=True, slots=True)
class BasicLogin:
    """HTTP basic authentication."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    def headers(self, _http: Http) -> tuple[str, ...]:
        """The same header each time."""
        pair = f"{self.user}:{self.password}".encode()
        return (f"Authorization: Basic {base64.b64encode(pair).decode()}",)

    def renew(self) -> bool:
        """A password that was refused once is refused again."""
        return False


class DcosLogin:
    """A DC/OS service account: a signed assertion buys a token (COMPAT.md 2.3, MARATHON.md 8).

    The token is kept until shortly before its end and shared by all threads.

    Args:
        credential: the JSON text of the service account: `uid`, `private_key` (PEM) and `login_endpoint`
        (URL).

    Raises:
        UsageError: the text is no such JSON, or its key cannot sign.

    """

    def __init__(self, credential: str) -> None:
        account = _account(credential)
        self._uid = account["uid"]
        self._private_key = account["private_key"]
        self._endpoint = account["login_endpoint"]
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at_s = 0.0
        self._assertion(0)  # a key that cannot sign is found before anything else starts

    def headers(self, http: Http) -> tuple[str, ...]:
        """The header with the current token, after logging in if there is none or its hour is nearly over."""
        with self._lock:
            if not self._token or time.monotonic() >= self._renew_at_s:
                began_s = time.monotonic()
                self._token = self._log_in(http)
                self._renew_at_s = began_s + TOKEN_LIFETIME_S - RENEW_BEFORE_END_S
            return (f"Authorization: token={self._token}",)

    def renew(self) -> bool:
        """Forget the token that was refused."""
        with self._lock:
            self._token = ""
        return True

    def _log_in(self, http: Http) -> str:
        # Tokens carry times of the calendar, so this is the one place that needs the wall clock.
        now_s = int(time.time())
        body = {
            "uid": self._uid,
            "token": self._assertion(now_s + ASSERTION_LIFETIME_S),
            "exp": now_s + TOKEN_LIFETIME_S,
        }
        try:
            answer = http.send(Request(self._endpoint, JSON_HEADERS, body=orjson.dumps(body)))
        except MarathonUnreachable as error:
            raise LoginError(f"DC/OS login at {self._endpoint}: {error}") from None
        token = _cookie(answer) or str(_json_object(answer).get("token") or "")
        if answer.status != 200 or not token:
            raise LoginError(f"DC/OS login at {self._endpoint}: HTTP {answer.status} without a token")
        return token

    def _assertion(self, expires_s: int) -> str:
        import jwt  # here, since it takes a third of the time in which `fastlb zdd` starts, and few need it

        try:
            return jwt.encode({"uid": self._uid, "exp": expires_s}, self._private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise UsageError("the private_key of the DC/OS credential is no RSA key in PEM form") from None


def login_from_user_pass(text: str) -> BasicLogin:
    """Read `user:pass`, which has exactly one colon (COMPAT.md 2.1).

    Raises:
        CredentialsError: it has none, or more.

    """
    parts = text.split(":")
    if len(parts) != 2:
        raise CredentialsError("Please provide marathon credentials in user:pass format")
    return BasicLogin(*parts)


def login_from_credential_file(path: Path) -> Login:
    """Read the first line of a file as `user:pass`; when it is empty there is no login (COMPAT.md 2.1).

    Raises:
        UsageError: the file cannot be read.
        CredentialsError: its first line is something else.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"the credential file {path} cannot be read: {reason}") from None
    first_line = text.partition("\n")[0].removesuffix("\r")
    return login_from_user_pass(first_line) if first_line else NoLogin()


def login_from_vault(environment: Mapping[str, str], tls: Tls) -> Login:
    """Read user and password from Vault if all of `VAULT_TOKEN`, `_HOST`, `_PORT` and `_PATH` are set.

    The address is `VAULT_URL`, or else is made of host, port and path (COMPAT.md 2.5).

    Raises:
        LoginError: Vault could not be asked, refused, or holds no such secret.

    """
    needed = ("VAULT_TOKEN", "VAULT_HOST", "VAULT_PORT", "VAULT_PATH")
    token, host, port, path = (environment.get(name, "") for name in needed)
    if not (token and host and port and path):
        return NoLogin()
    url = environment.get("VAULT_URL") or f"https://{host}:{port}/v1/{path.strip('/').removeprefix('v1/')}"
    request = Request(url, JSON_HEADERS[:1], secret_headers=(f"X-Vault-Token: {token}",))
    with Http(tls, connect_timeout_s=VAULT_CONNECT_TIMEOUT_S, read_timeout_s=VAULT_READ_TIMEOUT_S) as http:
        try:
            answer = http.send(request)
        except MarathonUnreachable as error:
            raise LoginError(f"Vault at {url}: {error}") from None
    return _login_in_secret(answer)


def _login_in_secret(answer: Answer) -> BasicLogin:
    secret = _json_object(answer).get("data")
    user, password = (secret.get("user"), secret.get("pass")) if isinstance(secret, dict) else (None, None)
    if answer.status != 200 or not isinstance(user, str) or not isinstance(password, str):
        raise LoginError(f"Vault at {answer.url}: HTTP {answer.status} without data.user and data.pass")
    return BasicLogin(user, password)


def _account(credential: str) -> dict[str, str]:
    """The three texts that a DC/OS service account needs."""
    wanted = ("uid", "private_key", "login_endpoint")
    try:
        account = orjson.loads(credential)
    except orjson.JSONDecodeError:
        raise UsageError("the DC/OS credential is no JSON") from None
    given = account if isinstance(account, dict) else {}
    missing = [key for key in wanted if not isinstance(given.get(key), str)]
    if missing:
        raise UsageError(f"the DC/OS credential lacks {', '.join(missing)}")
    return {key: account[key] for key in wanted}


def _cookie(answer: Answer) -> str:
    for value in answer.values("set-cookie"):
        try:
            cookie = SimpleCookie(value).get(DCOS_COOKIE)
        except CookieError:
            continue
        if cookie:
            return cookie.value
    return ""


def _json_object(answer: Answer) -> dict[str, Any]:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
