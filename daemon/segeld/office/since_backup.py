"""What is kept of the time after a backup until the restored database is adopted: for status, and for who approves."""

from typing import Final

import msgspec
from msgspec.structs import replace

RECORD: Final = "since-backup"
MOST_LINES: Final = 200


class SinceBackup(msgspec.Struct, frozen=True):
    brief: str
    """A sentence or two for `status`; empty if nothing happened that matters."""
    lines: tuple[str, ...]
    """Sentences for whoever approves."""
    older: tuple[str, ...] = ()
    """Sentences more, as long as the policy in force is an older one; the first is for `status` too."""
    officers: tuple[str, ...] | None = None
    """The SANs of the officers of the last policy; None: nobody is known to have left since."""


UNKNOWN: Final = "NOBODY KNOWS WHAT OFFICERS DECIDED AFTER THE BACKUP"
_ADVICE: Final = (
    "Whoever was shut out since, keys that were disabled, tokens in quarantine, and the policy that was in force are as they "
    "were at the backup. Ask the other officers, put that right, and adopt it then."
)

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(SinceBackup)


def unknown(why: str) -> SinceBackup:
    """:param why: without a full stop."""
    said = f"{UNKNOWN}: {why}."
    return SinceBackup(said, (said, _ADVICE))


def with_doubts(since: SinceBackup, why: str) -> SinceBackup:
    """:param why: the records of the backup may not be what the daemon wrote; without a full stop."""
    said = (
        f"WHETHER THE BACKUP IS WHAT THE DAEMON WROTE IS NOT KNOWN, of what officers decided ({why}): who may do what, who is "
        "shut out, and which keys are disabled. Look through it: segelctl policy show, segelctl caller list, segelctl key list."
    )
    return replace(since, brief=f"{said} {since.brief}".rstrip(), lines=(said, *since.lines))


def encode(since: SinceBackup) -> bytes:
    return _ENCODER.encode(since)


def decode(value: bytes) -> SinceBackup:
    """:raises msgspec.DecodeError: for a record of another version."""
    return _DECODER.decode(value)
