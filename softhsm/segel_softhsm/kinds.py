"""The kinds of keys a testbed can hold, and how labels of tokens and keys may look.

Pure data: nothing here needs a token, a module or a certificate library.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal, get_args

from segel_softhsm.errors import TestbedError

KeyKind = Literal["rsa2048", "rsa3072", "p256", "p384", "ed25519"]
KINDS: Final[tuple[KeyKind, ...]] = get_args(KeyKind)

RSA_BITS: Final[dict[str, int]] = {"rsa2048": 2048, "rsa3072": 3072}
CURVES: Final[dict[str, str]] = {"p256": "secp256r1", "p384": "secp384r1"}

_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def parse_kinds(text: str) -> tuple[KeyKind, ...]:
    """Read a comma-separated list of kinds, as `--keys` takes it; each kind at most once."""
    return check_kinds(word.strip() for word in text.split(",") if word.strip())


def check_kinds(words: Iterable[str]) -> tuple[KeyKind, ...]:
    """Return the kinds in the order given, or refuse an unknown one, a repetition or an empty list."""
    found: list[KeyKind] = []
    for word in words:
        kind = next((known for known in KINDS if known == word), None)
        if kind is None:
            raise TestbedError(f"there is no kind of key {word!r}; the kinds are {', '.join(KINDS)}")
        if kind in found:
            raise TestbedError(f"the kind {kind} is named twice")
        found.append(kind)
    if not found:
        raise TestbedError(f"name at least one kind of key; the kinds are {', '.join(KINDS)}")
    return tuple(found)


def check_label(label: str) -> str:
    """Return a label that fits CKA_LABEL, a token's 32 bytes and a file name, or refuse it."""
    if not _LABEL.fullmatch(label):
        raise TestbedError(f"the label {label!r} is not 1 to 32 letters, digits, dots, dashes or underscores")
    return label
