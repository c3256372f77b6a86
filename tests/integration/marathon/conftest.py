"""A Marathon, a second one, one that speaks TLS; clients and followers that end with the test."""

from __future__ import annotations

import ssl
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa

from fastlb.marathon import MarathonClient, MarathonConfig
from tests.fakes.marathon_http import FakeMarathon
from tests.integration.marathon.parts import FakeDcos, Followed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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


@pytest.fixture
def follow() -> Iterator[Callable[..., Followed]]:
    with ExitStack() as stack:

        def build(*urls: str, **settings: Any) -> Followed:
            followed = Followed(MarathonConfig(urls, **{"max_backoff_s": 0.05, **settings}))
            stack.callback(followed.stream.stop)
            return followed

        yield build


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def dcos(marathon: FakeMarathon, key: rsa.RSAPrivateKey) -> FakeDcos:
    return FakeDcos(marathon, key)
