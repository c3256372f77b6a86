"""What the default head gives away: TLS, names without a certificate, who HAProxy is, who may open which socket; and a
policy and the guard against missing apps in a running daemon (docs/threats.md).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import stat
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.fakes.front_door import HTTPS_PORT, STATS_PORT, FrontDoor, app, front_door

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastlb.simulator.server import SimulatedMarathon

pytestmark = pytest.mark.haproxy

ports = count(24300)
OLD_VERSIONS = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1]
NEW_VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="flb"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def hardened(folder: Path, cluster: SimulatedMarathon) -> Iterator[FrontDoor]:
    """A front door with all that can be turned on, and a certificate for ``web.test``."""
    certificate = folder / "web.pem"
    issued = trustme.CA().issue_cert("web.test", key_type=trustme.KeyType.RSA)
    certificate.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    (folder / "policy.toml").write_text("")
    cluster.load([app("web", next(ports)), app("team-a/web", next(ports), labels={"HAPROXY_0_VHOST": "team-a.test"})])
    with front_door(folder) as door:
        flags = ["--ssl-certs", str(certificate), "--strict-sni", "--policy", str(folder / "policy.toml")]
        flags += ["--haproxy-user", "nobody"] if os.geteuid() == 0 else []
        yield door.up(cluster.url, *flags)


def handshake(door: FrontDoor, name: str | None, version: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> str:
    """Return the cipher that was agreed on, or raise what went wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.maximum_version = version
    context.minimum_version = version
    with (
        socket.create_connection((door.address, HTTPS_PORT), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        cipher = tls.cipher()
        assert cipher is not None
        return cipher[0]


@pytest.mark.parametrize("version", NEW_VERSIONS)
def test_current_tls_is_spoken(hardened, version):
    assert handshake(hardened, "web.test", version)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_older_tls_is_refused(hardened, version):
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        handshake(hardened, "web.test", version)


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"])
def test_ciphers_of_today_are_taken(hardened, cipher):
    assert handshake(hardened, "web.test", ssl.TLSVersion.TLSv1_2, f"{cipher}:@SECLEVEL=0") == cipher


@pytest.mark.parametrize(
    "cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-SHA256"]
)
def test_ciphers_without_forward_secrecy_or_with_padding_are_refused(hardened, cipher):
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        handshake(hardened, "web.test", ssl.TLSVersion.TLSv1_2, f"{cipher}:@SECLEVEL=0")


@pytest.mark.parametrize("name", ["other.test", None])
def test_with_strict_sni_a_name_without_a_certificate_is_refused(hardened, name):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(hardened, name, ssl.TLSVersion.TLSv1_3)


def test_every_socket_is_for_its_owner_alone(hardened):
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (hardened.folder / "run").iterdir() if path.is_socket()
    }
    assert modes == dict.fromkeys(("master.sock", "socket", "admin.sock", "local.sock"), 0o600)


def test_admin_level_is_given_on_the_private_socket_alone(hardened):
    admins = [line for line in hardened.config().splitlines() if "level admin" in line]
    assert [line.split()[:2] for line in admins] == [["stats", "socket"]]
    assert f"{hardened.folder}/run/socket mode 600 level admin" in admins[0]
    assert "stats admin" not in hardened.config()


@as_root
def test_haproxy_gives_up_its_rights_and_is_reloaded_and_asked_all_the_same(hardened, cluster):
    """Its admin server lets that user in, and live changes and reloads go on."""

    def users() -> set[str]:
        return {hardened.worker().username()}

    assert users() == {"nobody"}
    assert hardened.worker().gids().effective != 0
    assert hardened.get("any", "/_fastlb/live", STATS_PORT)[0] == 200
    start = hardened.now()
    cluster.load([app("fresh", next(ports))])
    hardened.process.send_signal(signal.SIGHUP)
    hardened.wait_for("reload", start)
    hardened.wait_for_status("fresh.test", 200)
    assert users() == {"nobody"}
    cluster.scale("/fresh", 3)
    cluster.wait_idle()
    hardened.wait_for_tasks(cluster, "fresh")


def test_a_policy_counts_from_the_hangup_signal_on_and_a_broken_one_changes_nothing(hardened, cluster):
    hardened.wait_for_status("team-a.test", 200)
    policy = hardened.folder / "policy.toml"
    policy.write_text('[vhosts]\n"web.test" = ["/team-a"]\n')
    hardened.process.send_signal(signal.SIGHUP)
    hardened.wait_for_status("web.test", 503)
    hardened.wait_for_line("vhost 'web.test' is reserved by the policy for apps below /team-a")
    policy.write_text("[vhosts")
    hardened.process.send_signal(signal.SIGHUP)
    line = hardened.wait_for_line("the policy of before stays in force")
    assert f"--policy {policy}: it is no TOML" in line
    assert hardened.status("web.test") == 503
    policy.write_text("")
    hardened.process.send_signal(signal.SIGHUP)
    hardened.wait_for_status("web.test", 200)


def test_a_broken_policy_keeps_fastlb_from_starting(tmp_path, door, cluster):
    policy = tmp_path / "policy.toml"
    policy.write_text('[vhost]\n"web.test" = ["/a"]\n')
    done = door.run(cluster.url, "--policy", str(policy))
    assert done.returncode == 2
    assert f"--policy {policy}: the file has 'vhost', which means nothing" in done.stderr
