"""How many PIN tries a token says are left: it has flags for it (PKCS #11 v2.40, CK_TOKEN_INFO), and no number."""

from collections.abc import Sequence
from typing import Final, Protocol


class Named(Protocol):
    @property
    def manufacturer(self) -> str: ...


TRUSTED: Final = ("SoftHSM project", "Yubico")
"""What manufacturers are called, from the beginning, whose flags were seen to follow the tries. OpenSC's were seen to be
stale. SoftHSM2 never locks a PIN, so there is nothing to be wrong about."""


def tries_left(flags: Sequence[str]) -> str:
    """One sentence for people; empty if the token says nothing of it."""
    if "CKF_USER_PIN_LOCKED" in flags:
        return "The token says that its PIN is locked."
    if "CKF_USER_PIN_FINAL_TRY" in flags:
        return "The token says that one PIN try is left."
    if "CKF_USER_PIN_COUNT_LOW" in flags:
        return "The token says that few PIN tries are left."
    return ""


def said_of_tries(flags: Sequence[str], trusted: bool) -> str:
    """One sentence or two for officers, whatever the flags are."""
    said = tries_left(flags) or "The token does not say that few PIN tries are left."
    return said if trusted else f"{said} Its flags are not known to tell the truth."


def flags_are_trusted(configured: bool | None, token: Named | None) -> bool:
    """Whether the absence of these flags means that tries are left.

    :param configured: what the configuration says; None: what is known of the token's manufacturer.
    """
    if configured is not None:
        return configured
    return token is not None and token.manufacturer.startswith(TRUSTED)
