"""The three files of mutual TLS: what they are called, and whether they hold what they should."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn

from segel.errors import SettingsInvalid

_WHAT: Final = MappingProxyType(
    {"ca": "the daemon's CA certificates", "cert": "the client certificate", "key": "its private key"}
)
_CERTIFICATE: Final = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----")
_KEY: Final = re.compile(rb"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----")
_LOCKED_KEY: Final = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")


class Pem(NamedTuple):
    """The content of the three files, looked at and found good."""

    ca: bytes
    cert: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Tls:
    """The three PEM files of mutual TLS. They are read when a client connects, and again when it reconnects.

    :ivar ca: certificates of the CAs that the daemon's certificate may come from.
    :ivar cert: the client's certificate, followed by intermediate ones if there are any.
    :ivar key: its private key, not encrypted.
    :ivar said_by: where each path comes from, for error messages, for example ``{"ca": "SEGEL_TLS_CA"}``.
    """

    ca: str | os.PathLike[str]
    cert: str | os.PathLike[str]
    key: str | os.PathLike[str]
    said_by: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def read(self) -> Pem:
        """Reads the files and looks whether TLS can be done with them.

        :raises SettingsInvalid: naming the file and the setting: missing, unreadable, not PEM, key encrypted,
            key of another certificate.
        """
        pem = Pem(
            ca=self._content("ca", _CERTIFICATE, "a CERTIFICATE block"),
            cert=self._content("cert", _CERTIFICATE, "a CERTIFICATE block"),
            key=self._content("key", _KEY, "a PRIVATE KEY block"),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=pem.ca.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError):
            self._refuse("ca", "TLS_FILE_NOT_PEM", "holds no certificate that can be read")
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH" or "KEY_TYPE_MISMATCH" in str(error):
                self._refuse("key", "TLS_KEY_MISMATCH", f"is not the key of the certificate in {self.cert}")
            self._refuse("cert", "TLS_FILE_NOT_PEM", f"and {self.key} hold nothing that can be read")
        except OSError as error:
            self._refuse("cert", "TLS_FILE_UNREADABLE", f"cannot be read: {error.strerror}")
        return pem

    def _content(self, setting: str, wanted: re.Pattern[bytes], wanted_text: str) -> bytes:
        try:
            content = self._path(setting).read_bytes()
        except FileNotFoundError:
            self._refuse(setting, "TLS_FILE_MISSING", "does not exist")
        except OSError as error:
            self._refuse(setting, "TLS_FILE_UNREADABLE", f"cannot be read: {error.strerror}")
        if wanted is _KEY and _LOCKED_KEY.search(content):
            self._refuse(
                setting, "TLS_KEY_ENCRYPTED", "is encrypted; the client needs it without a passphrase"
            )
        if not wanted.search(content):
            self._refuse(setting, "TLS_FILE_NOT_PEM", f"is not PEM with {wanted_text}")
        return content

    def _path(self, setting: str) -> Path:
        return Path({"ca": self.ca, "cert": self.cert, "key": self.key}[setting])

    def _refuse(self, setting: str, reason: str, what: str) -> NoReturn:
        path = self._path(setting)
        source = self.said_by.get(setting, f"the argument {setting}")
        raise SettingsInvalid(
            f"{path} ({_WHAT[setting]}, from {source}) {what}",
            reason=reason,
            code="FAILED_PRECONDITION",
            facts={"file": str(path), "setting": setting, "source": source},
        )


def _no_password() -> str:
    # OpenSSL would ask the terminal; encrypted keys were refused before, with a better text.
    return ""
