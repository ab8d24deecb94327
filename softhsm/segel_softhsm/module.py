"""Where the SoftHSM2 module is, and whether the Python packages that make a testbed are there.

Nothing is loaded or imported here, only looked for.
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from segel_softhsm.errors import TestbedError

OVERRIDE: Final = "SOFTHSM2_MODULE"

_PLACES: Final = (
    "/usr/lib/softhsm",  # Debian, Ubuntu, Arch
    "/usr/lib64/pkcs11",  # Fedora, RHEL
    "/usr/lib64/softhsm",  # openSUSE, older Fedora
    "/usr/lib/pkcs11",  # Arch, Fedora on 32 bits
    "/opt/homebrew/lib/softhsm",  # macOS, Homebrew on Apple silicon
    "/usr/local/lib/softhsm",  # macOS, Homebrew on Intel; built from source
)
_MULTIARCH: Final = "usr/lib/*/softhsm/libsofthsm2.so"
_PACKAGES: Final = {"pkcs11": "python-pkcs11", "certomancer": "certomancer", "cryptography": "cryptography"}


def find_module(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Path:
    """Return the path of libsofthsm2; the environment's SOFTHSM2_MODULE goes first.

    :raises TestbedError: it is not installed, or SOFTHSM2_MODULE names no file.
    """
    override = environ.get(OVERRIDE)
    if override:
        if Path(override).is_file():
            return Path(override)
        raise TestbedError(f"{OVERRIDE} is {override}, and there is no such file")
    for candidate in _candidates(root):
        if candidate.is_file():
            return candidate
    raise TestbedError(
        "SoftHSM2 is not installed (no libsofthsm2.so found). Install it: apt install softhsm2 (Debian, Ubuntu),"
        " dnf install softhsm (Fedora), pacman -S softhsm (Arch), brew install softhsm (macOS);"
        f" or set {OVERRIDE} to the module's path"
    )


def check_packages() -> None:
    """Refuse early, in one sentence, if a Python package that the child processes need is missing."""
    missing = sorted(package for name, package in _PACKAGES.items() if importlib.util.find_spec(name) is None)
    if missing:
        raise TestbedError(
            f"Python packages are missing: {', '.join(missing)}. Install them: pip install {' '.join(missing)}"
        )


def _candidates(root: Path) -> Iterator[Path]:
    for place in _PLACES:
        yield root / place.lstrip("/") / "libsofthsm2.so"
    yield from sorted(root.glob(_MULTIARCH))
