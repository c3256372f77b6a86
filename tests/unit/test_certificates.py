"""Which certificates HAProxy is given, and the one that is made when there is none."""

from __future__ import annotations

import logging
import ssl
from dataclasses import replace

from fastlb.certificates import usable_certificates
from fastlb.settings import Paths
from tests.fakes.apps import rules_of


def rules(*certificates, **more):
    return replace(rules_of(), ssl_certs=tuple(map(str, certificates)), **more)


def paths(folder):
    return Paths(folder / "haproxy.cfg", folder / "run")


def test_certificates_that_are_there_are_kept_in_their_order(tmp_path):
    files = [tmp_path / "b.pem", tmp_path / "a.pem"]
    for file in files:
        file.touch()
    assert usable_certificates(rules(*files), paths(tmp_path), dry=False) == rules(*files)


def test_a_folder_of_certificates_is_one(tmp_path):
    assert usable_certificates(rules(tmp_path), paths(tmp_path), dry=False).ssl_certs == (str(tmp_path),)


def test_a_missing_one_is_named_and_left_out(tmp_path, caplog):
    good, missing = tmp_path / "good.pem", tmp_path / "missing.pem"
    good.touch()
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


def test_a_dry_run_makes_none(tmp_path):
    found = usable_certificates(rules("/nowhere"), paths(tmp_path), dry=True)
    assert found.ssl_certs == (str(paths(tmp_path).fallback_certificate),)
    assert list(tmp_path.iterdir()) == []


def test_without_https_no_certificate_is_looked_for(tmp_path):
    plain = rules("/nowhere", dont_bind_http_https=True)
    assert usable_certificates(plain, paths(tmp_path), dry=False) == plain
    assert list(tmp_path.iterdir()) == []
