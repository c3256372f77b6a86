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

REFUSED_FROM = {"046-template-labels-servers": (2, 8), "048-refused-by-haproxy": (0, 0)}
"""Cases that a HAProxy refuses, from which version on. 046 has a label with a Host header hidden in the version of
``option httpchk``, which is the operator's own text: 2.6 accepts it, 2.8 does not."""
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
def test_haproxy_accepts_all_recorded_cases_but_those_that_are_wrong_by_themselves(case, certificates, tmp_path):
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
    refused = case.name in REFUSED_FROM and haproxy.version >= REFUSED_FROM[case.name]
    assert verdict.ok == (not refused), verdict.output
