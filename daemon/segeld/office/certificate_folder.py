"""Certificates of keys that lie in the state folder because their token has no room: PEM, one file a key.

What is there is what a reader of backups expects, and can be looked at with openssl. Files have mode 0600, the folder
0700; a file is replaced as a whole, or stays as it is.
"""

import os
import re
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from segeld.model.chains import OddCertificate
from segeld.model.names import KeyName
from segeld.office.certificate_files import CertificateFileError, read_certificates

FOLDER: Final = "certificates"
_FILE: Final = re.compile(r"([0-9a-f]{64})\.pem")
_log: Final = structlog.get_logger(__name__)


class CertificateFolder:
    """Read once, then kept in memory. Nobody else writes there."""

    def __init__(self, state_dir: Path) -> None:
        self._folder: Final = state_dir / FOLDER
        self._chains: dict[KeyName, tuple[x509.Certificate, ...]] = {}
        self._ders: dict[KeyName, tuple[bytes, ...]] = {}

    def load(self) -> None:
        """A file that cannot be read is left alone, and said: the key is then as if it had none here."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            match = _FILE.fullmatch(path.name)
            if match is None:
                continue
            try:
                self._keep(KeyName(bytes.fromhex(match[1])), tuple(read_certificates(path.read_bytes())))
            except (OSError, CertificateFileError, OddCertificate) as error:
                _log.error("a certificate in the state folder cannot be read", file=str(path), why=str(error))

    def _keep(self, key: KeyName, chain: tuple[x509.Certificate, ...]) -> None:
        self._chains[key] = chain
        self._ders[key] = tuple(each.public_bytes(Encoding.DER) for each in chain)

    def chain(self, key: KeyName) -> tuple[bytes, ...]:
        """DER, the key's own first; empty if there is none here."""
        return self._ders.get(key, ())

    def leaf(self, key: KeyName) -> x509.Certificate | None:
        """The key's own."""
        return next(iter(self._chains.get(key, ())), None)

    def all(self) -> tuple[x509.Certificate, ...]:
        return tuple(each for chain in self._chains.values() for each in chain)

    def write(self, key: KeyName, chain: tuple[x509.Certificate, ...]) -> Path:
        """Returns when it is durable. Takes a few milliseconds: call it in a thread.

        :raises OSError: if it cannot be written; what was there stays.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{key.fingerprint.hex()}.pem"
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(each.public_bytes(Encoding.PEM) for each in chain))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        self._sync()
        self._keep(key, chain)
        return path

    def remove(self, key: KeyName) -> None:
        """Of a key that is no more."""
        (self._folder / f"{key.fingerprint.hex()}.pem").unlink(missing_ok=True)
        self._chains.pop(key, None)
        self._ders.pop(key, None)
        if self._folder.is_dir():
            self._sync()

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
