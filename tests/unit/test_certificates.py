"""Which certificates HAProxy is given, and the one that is made when there is none."""

from __future__ import annotations

import logging
import ssl
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization

from fastlb.certificates import make_self_signed, usable_certificates
from fastlb.settings import Paths
from tests.fakes.apps import rules_of


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "good.pem"
    make_self_signed(path)
    return path.read_text()


@pytest.fixture
def good(tmp_path, pem):
    path = tmp_path / "good.pem"
    path.write_text(pem)
    return path


def halves(pem):
    """Return the certificate and its key."""
    start = pem.index("-----BEGIN PRIVATE KEY")
    return pem[:start], pem[start:]


def encrypted(pem):
    key = serialization.load_pem_private_key(halves(pem)[1].encode(), None)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"x")).decode()


def other_key(tmp_path):
    make_self_signed(tmp_path / "other.pem")
    return halves((tmp_path / "other.pem").read_text())[1]


def rules(*certificates, **more):
    return replace(rules_of(), ssl_certs=tuple(map(str, certificates)), **more)


def paths(folder):
    return Paths(folder / "haproxy.cfg", folder / "run")


def test_certificates_that_are_there_are_kept_in_their_order(tmp_path, pem):
    files = [tmp_path / "b.pem", tmp_path / "a.pem"]
    for file in files:
        file.write_text(pem)
    assert usable_certificates(rules(*files), paths(tmp_path), dry=False) == rules(*files)


def test_a_folder_of_certificates_is_one(tmp_path):
    assert usable_certificates(rules(tmp_path), paths(tmp_path), dry=False).ssl_certs == (str(tmp_path),)


def test_of_a_folder_the_good_ones_are_taken_one_by_one_if_one_is_bad(tmp_path, good, caplog):
    (tmp_path / "bad.pem").write_text("bad")
    (tmp_path / "good.pem.ocsp").touch()
    (tmp_path / ".hidden").touch()
    assert usable_certificates(rules(tmp_path), paths(tmp_path), dry=False).ssl_certs == (str(good),)
    assert len(caplog.records) == 1


def test_a_key_may_lie_beside_its_certificate(tmp_path, pem):
    path = tmp_path / "split.pem"
    certificate, key = halves(pem)
    path.write_text(certificate)
    (tmp_path / "split.pem.key").write_text(key)
    assert usable_certificates(rules(path), paths(tmp_path), dry=False).ssl_certs == (str(path),)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda pem, _: "not PEM at all", "no PEM certificate"),
        (lambda pem, _: "", "no PEM certificate"),
        (lambda pem, _: halves(pem)[1], "no PEM certificate"),
        (lambda pem, _: halves(pem)[0], "private key is neither in it nor in"),
        (lambda pem, folder: halves(pem)[0] + other_key(folder), "key values mismatch"),
        (lambda pem, _: halves(pem)[0] + encrypted(pem), "cannot be used"),
        (lambda pem, _: pem[:300] + pem[400:], "cannot be used"),
        (lambda pem, _: pem[:-200], "cannot be used"),
    ],
)
def test_one_that_haproxy_would_refuse_is_named_and_the_others_serve(tmp_path, pem, good, broken, why, caplog):
    bad = tmp_path / "bad.pem"
    bad.write_text(broken(pem, tmp_path))
    assert usable_certificates(rules(bad, good), paths(tmp_path), dry=False).ssl_certs == (str(good),)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"certificate {bad} cannot be used: ")
    assert why in said


def test_a_missing_one_is_named_and_left_out(tmp_path, good, caplog):
    missing = tmp_path / "missing.pem"
    assert usable_certificates(rules(missing, good), paths(tmp_path), dry=False).ssl_certs == (str(good),)
    assert [record.getMessage() for record in caplog.records] == [
        f"certificate {missing} cannot be read (No such file or directory); it is left out"
    ]


def test_where_none_is_left_a_certificate_with_its_key_is_made_for_nobody_else_to_read(tmp_path, caplog):
    made = usable_certificates(rules(tmp_path / "missing.pem"), paths(tmp_path), dry=False)
    fallback = paths(tmp_path).fallback_certificate
    assert made.ssl_certs == (str(fallback),)
    assert fallback.stat().st_mode & 0o777 == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(fallback)
    assert caplog.records[-1].levelno == logging.WARNING


def test_a_certificate_made_before_is_used_again(tmp_path):
    usable_certificates(rules("/nowhere"), paths(tmp_path), dry=False)
    before = paths(tmp_path).fallback_certificate.read_bytes()
    usable_certificates(rules("/nowhere"), paths(tmp_path), dry=False)
    assert paths(tmp_path).fallback_certificate.read_bytes() == before


@pytest.mark.parametrize("left", [b"", b"-----BEGIN CERTIFICATE-----\nhalf", b"\x00\xff"])
def test_one_made_before_that_cannot_be_used_is_made_again(tmp_path, left):
    fallback = paths(tmp_path).fallback_certificate
    fallback.parent.mkdir(parents=True, exist_ok=True)
    fallback.write_bytes(left)
    usable_certificates(rules("/nowhere"), paths(tmp_path), dry=False)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(fallback)
    assert fallback.stat().st_mode & 0o777 == 0o600


def test_a_dry_run_makes_none(tmp_path):
    found = usable_certificates(rules("/nowhere"), paths(tmp_path), dry=True)
    assert found.ssl_certs == (str(paths(tmp_path).fallback_certificate),)
    assert list(tmp_path.iterdir()) == []


def test_without_https_no_certificate_is_looked_for(tmp_path):
    plain = rules("/nowhere", dont_bind_http_https=True)
    assert usable_certificates(plain, paths(tmp_path), dry=False) == plain
    assert list(tmp_path.iterdir()) == []
