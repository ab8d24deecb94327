"""Whether certificates and keys are what the configuration says they are, today."""

import datetime as dt
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from segeld.config import files
from segeld.config.schema import Tls
from segeld.config.strict import Problem
from segeld.model.chains import OddCertificate, readable

_BEGIN: Final = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----")
_CERTIFICATE: Final = re.compile(_BEGIN.pattern + rb".*?-----END (?:X509 )?CERTIFICATE-----", re.DOTALL)


def check_tls(key: str, tls: Tls) -> Iterator[Problem]:
    """Files of one listener: there, readable, belonging together, and not expired."""
    chain, problems = _read_chain(f"{key}.certificate", tls.certificate)
    yield from problems
    authorities, problems = _read_chain(f"{key}.client_ca", tls.client_ca)
    yield from problems
    public, problems = _read_private(f"{key}.key", tls.key)
    yield from problems
    if chain:
        yield from _check_dates(f"{key}.certificate", tls.certificate, chain[0])
        if public is not None and _spki(chain[0]) != public:
            yield Problem(f"{key}.key", f"{tls.key} is not the key of the certificate in {tls.certificate}")
    for authority in authorities:
        yield from _check_dates(f"{key}.client_ca", tls.client_ca, authority)


def check_public_key(key: str, path: Path) -> Iterator[Problem]:
    """A PEM public key or certificate."""
    data, problems = _read(key, path)
    yield from problems
    if data is not None:
        try:
            public_key_of(data)
        except ValueError as error:
            yield Problem(key, f"{path} {error}")


def check_certificates(key: str, path: Path) -> Iterator[Problem]:
    """PEM certificates of keys and issuers. An expired one is no fault here: old signatures need it."""
    yield from _read_chain(key, path)[1]


def public_key_of(pem: bytes) -> bytes:
    """SubjectPublicKeyInfo, DER, of a PEM public key or of a PEM certificate.

    :raises ValueError: if it is neither.
    """
    try:
        if _BEGIN.search(pem):
            return _spki(readable(lambda: x509.load_pem_x509_certificate(pem)))
        key = serialization.load_pem_public_key(pem)
    except OddCertificate as odd:
        raise ValueError(f"holds a certificate that cannot be read ({odd})") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no PEM public key or certificate") from None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(key: str, path: Path) -> tuple[bytes | None, list[Problem]]:
    problems = list(files.check_readable(key, path))
    return (None, problems) if problems else (path.read_bytes(), [])


def _read_chain(key: str, path: Path) -> tuple[list[x509.Certificate], list[Problem]]:
    data, problems = _read(key, path)
    if data is None:
        return [], problems
    blocks = [found[0] for found in _CERTIFICATE.finditer(data)]
    if not blocks:
        return [], [Problem(key, f"{path} holds no PEM certificate")]
    # One by one, so that the odd one is named: a file of authorities may hold many.
    chain = []
    for number, block in enumerate(blocks, start=1):
        try:
            chain.append(readable(partial(x509.load_pem_x509_certificate, block)))
        except OddCertificate as odd:
            problems.append(Problem(key, f"certificate {number} in {path} cannot be read ({odd})"))
    if not problems and len(_BEGIN.findall(data)) > len(blocks):
        problems.append(Problem(key, f"the last certificate in {path} has no end: the file was cut short"))
    try:
        x509.load_pem_x509_certificates(data)  # as it is read later
    except Exception:  # noqa: BLE001  # as in `readable`
        if not problems:
            problems.append(Problem(key, f"{path} holds something beside its certificates that is no PEM"))
    return ([], problems) if problems else (chain, [])


def _read_private(key: str, path: Path) -> tuple[bytes | None, list[Problem]]:
    problems = list(files.check_private_key(key, path))
    if problems:
        return None, problems
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except TypeError:
        return None, [
            Problem(key, f"{path} is protected by a passphrase, which nobody could type at a start")
        ]
    except (ValueError, UnsupportedAlgorithm):
        return None, [Problem(key, f"{path} holds no PEM private key")]
    public = private.public_key()
    return public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ), []


def _check_dates(key: str, path: Path, certificate: x509.Certificate) -> Iterator[Problem]:
    now = dt.datetime.now(dt.UTC)
    if certificate.not_valid_after_utc < now:
        yield Problem(key, f"the certificate in {path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    elif certificate.not_valid_before_utc > now:
        yield Problem(
            key, f"the certificate in {path} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}"
        )


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
