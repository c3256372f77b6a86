"""A real HAProxy accepts what is rendered for it from every recorded case, with the default head."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trustme
from recorded import CASES, NAMES, argv_of, rendered

from fastlb.haproxy import find_haproxy
from fastlb.validation import validate

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.haproxy

REFUSED = "048-refused-by-haproxy"
PORTS = {"--http-port": 18080, "--https-port": 18443, "--appid-port": 19091, "--stats-port": 19090}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate under each name that the recorded labels and the default flags use."""
    folder = tmp_path_factory.mktemp("ssl")
    authority = trustme.CA()
    pem = authority.issue_cert("localhost").private_key_and_cert_chain_pem
    for name in ("cert", "auth", "f"):
        pem.write_to_path(str(folder / f"{name}.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_haproxy_accepts_the_recorded_cases(case, certificates, tmp_path):
    haproxy = find_haproxy(None, os.environ)
    config = tmp_path / "haproxy.cfg"
    argv = ["--haproxy-config", config, "--run-dir", tmp_path, "--ssl-certs", certificates / "cert.pem"]
    argv += ["--bind-address", "127.0.0.1", *(word for flag in PORTS.items() for word in flag)]
    apps = (case / "apps.json").read_text(encoding="utf-8").replace("/etc/ssl/", f"{certificates}/")
    texts = rendered(apps, [*map(str, argv), *argv_of(case)], haproxy)
    config.write_text(texts.head + texts.body, encoding="utf-8")
    config.with_name("domain2backend.map").write_text(texts.domain_map, encoding="utf-8")
    config.with_name("app2backend.map").write_text(texts.app_map, encoding="utf-8")
    verdict = validate(haproxy, config, timeout_s=60.0)
    assert verdict.ok == (case.name != REFUSED), verdict.output
