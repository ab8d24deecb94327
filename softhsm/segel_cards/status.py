"""What the card tells of itself over the control socket."""

import msgspec


class Counters(msgspec.Struct):
    """Since the card was made, over all restarts of the rig."""

    verifies: int = 0
    """VERIFY commands with a PIN: each could cost a try."""
    wrong_pins: int = 0
    """PINs that did not match, in whatever command."""
    changes: int = 0
    """CHANGE REFERENCE DATA: new PIN or PUK for the old one."""
    unblocks: int = 0
    """RESET RETRY COUNTER: new PIN for the PUK."""
    signatures: dict[str, int] = {}
    """By the key's slot."""


class CardStatus(msgspec.Struct, frozen=True):
    inserted: bool
    commands: int
    """Of any kind, since this rig was started."""
    held: int
    """Answers that are being kept back (`mute`)."""
    pin_tries: int
    """Left; 0 is locked."""
    puk_tries: int
    counters: Counters
