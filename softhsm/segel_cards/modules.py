"""The PKCS#11 modules that speak to the card, and where a distribution puts them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segel_cards.errors import CardError

_FOLDERS: Final = ("/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib64/pkcs11", "/usr/lib", "/usr/lib/pkcs11")
DRIVERS: Final = (
    "/usr/lib/pcsc/drivers/serial",
    "/usr/lib64/pcsc/drivers/serial",
    "/usr/lib/*-linux-gnu*/pcsc/drivers/serial",
)
_VPCD: Final = "libifdvpcd.so"


@dataclass(frozen=True, slots=True)
class Flavour:
    """A module, and the card as it must look to it."""

    name: str
    library: str
    package: str
    reader: str
    yubikey: bool

    @property
    def module(self) -> Path:
        """:raises CardError: if it is not installed."""
        return _find(_FOLDERS, self.library, self.package)


OPENSC: Final = Flavour("opensc", "opensc-pkcs11.so", "opensc-pkcs11", "Segel Virtual Reader", yubikey=False)
YKCS11: Final = Flavour("ykcs11", "libykcs11.so.2", "ykcs11", "Yubico YubiKey CCID", yubikey=True)


def vpcd_driver() -> Path:
    """:raises CardError: if it is not installed."""
    return _find(DRIVERS, _VPCD, "vsmartcard-vpcd")


def _find(folders: tuple[str, ...], file: str, package: str) -> Path:
    for pattern in folders:
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            if (folder / file).exists():
                return folder / file
    raise CardError(f"{file} is not installed: apt install {package} (or softhsm/system-packages test)")
