"""The certificates of the https frontend: those that can be used, or one made on the spot.

HAProxy refuses a whole configuration for one file that it cannot use. So files of ``--ssl-certs`` that cannot be read,
are no PEM, or lack the key of their certificate are left out with a message, and if none is left a self-signed
certificate takes their place, as marathon-lb's container makes one (COMPAT.md 2.5): every other port and route keeps
working, and the browser's warning says the rest. Of a folder with such files the others are taken one by one.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from fastlb.files import publish

if TYPE_CHECKING:
    from fastlb.model import Rules
    from fastlb.settings import Paths

log = logging.getLogger(__name__)

VALID_DAYS = 3650
KEY_BITS = 2048
PRIVATE = 0o600
BESIDE = frozenset({".key", ".ocsp", ".issuer", ".sctl"})
"""Endings of files that belong to the certificate of that name."""


def usable_certificates(rules: Rules, paths: Paths, *, dry: bool) -> Rules:
    """Return ``rules`` with certificates that exist, or if it is ``dry`` would.

    Raises PublishError if one has to be made and cannot be.
    """
    if rules.dont_bind_http_https:
        return rules
    usable = tuple(good for path in rules.ssl_certs for good in _usable(path))
    if not usable:
        fallback = paths.fallback_certificate
        if not dry and (not fallback.exists() or _what_is_wrong(str(fallback))):
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
    path.chmod(PRIVATE)
    publish(path, pem.decode())


def _usable(path: str) -> list[str]:
    """Return the path if HAProxy can use it, of a folder the files that it can; say what is wrong with all others."""
    folder = Path(path)
    if not folder.is_dir():
        return [path] if _is_usable(path) else []
    inside = sorted(str(file) for file in folder.iterdir() if _is_certificate_of_a_folder(file))
    usable = [file for file in inside if _is_usable(file)]
    return [path] if usable == inside else usable


def _is_certificate_of_a_folder(file: Path) -> bool:
    """Whether HAProxy takes a file of a folder for a certificate (its manual, ``crt``)."""
    return not file.name.startswith(".") and file.suffix not in BESIDE and not file.is_dir()


def _is_usable(path: str) -> bool:
    wrong = _what_is_wrong(path)
    if wrong:
        log.error("certificate %s cannot be %s; it is left out", path, wrong)
    return not wrong


def _what_is_wrong(path: str) -> str:
    """Return why OpenSSL, which HAProxy uses as well, would not serve with this certificate; empty if it would."""
    beside = Path(f"{path}.key")
    try:
        text = Path(path).read_bytes()
        if b"-----BEGIN CERTIFICATE-----" not in text:
            return "used: there is no PEM certificate in it"
        holds_key = b"PRIVATE KEY-----" in text
        if not holds_key and not beside.exists():
            return f"used: its private key is neither in it nor in {beside}"
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, None if holds_key else beside, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "a part of it cannot be read").replace("_", " ").lower()
        return f"used: {reason}"
    except OSError as error:
        return f"read ({error.strerror})"
    return ""
