"""The certificates of the https frontend: those that are there, or one made on the spot.

HAProxy refuses a whole configuration for one missing file. So files of ``--ssl-certs`` that cannot be read are left out
with a message, and if none is left a self-signed certificate takes their place, as marathon-lb's container makes one
(COMPAT.md 2.5): every other port and route keeps working, and the browser's warning says the rest.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from fastlb.files import publish

if TYPE_CHECKING:
    from pathlib import Path

    from fastlb.model import Rules
    from fastlb.settings import Paths

log = logging.getLogger(__name__)

VALID_DAYS = 3650
KEY_BITS = 2048
PRIVATE = 0o600


def usable_certificates(rules: Rules, paths: Paths, *, dry: bool) -> Rules:
    """Return ``rules`` with certificates that exist, or if it is ``dry`` would.

    Raises PublishError if one has to be made and cannot be.
    """
    if rules.dont_bind_http_https:
        return rules
    usable = tuple(path for path in rules.ssl_certs if _is_readable(path))
    if not usable:
        fallback = paths.fallback_certificate
        if not dry and not fallback.exists():
            make_self_signed(fallback)
        log.warning("no certificate of --ssl-certs can be used; HTTPS is served with a self-signed one, %s", fallback)
        usable = (str(fallback),)
    return replace(rules, ssl_certs=usable)


def make_self_signed(path: Path) -> None:
    """Write a self-signed RSA certificate for every name, with its key, to ``path``, for nobody else to read."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "*")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=VALID_DAYS))
    certificate = builder.sign(key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=PRIVATE)
    publish(path, pem.decode())


def _is_readable(path: str) -> bool:
    try:
        with open(path, "rb"):  # noqa: PTH123 - the path is a word of HAProxy's language
            return True
    except IsADirectoryError:
        return True
    except OSError as error:
        log.error("certificate %s cannot be read (%s); it is left out", path, error.strerror)
        return False
