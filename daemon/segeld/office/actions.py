"""What a change can do, as values: the actions of `segel.v1.Action`. An approval is for the hash of one of them."""

import hashlib
from typing import Final

import msgspec

_CONTEXT: Final = b"segel-change-v1\0"
_ENCODER: Final = msgspec.msgpack.Encoder(order="sorted")


class _Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", omit_defaults=True):
    """A field that is added later has a default, and leaves the hash of what lacks it as it is."""


class InitializeToken(_Action, frozen=True, tag="initialize_token"):
    """Erases a token, or makes a blank one usable."""

    token: str
    """tokens/{token}, as configured."""
    slot: str = ""
    """modules/{module}/slots/{slot id} of a blank token; empty: the token is found as configured."""
    label: str = ""
    """Empty: the configured one."""
    serial: str = ""
    """Of the device that was shown; empty if none was seen, or it has none. Filled in when it is asked for: another may
    be put there.
    """


class UnblockPin(_Action, frozen=True, tag="unblock_pin"):
    """Sets a new user PIN by the SO PIN."""

    token: str
    serial: str = ""
    """Of the device that was shown; empty if none was seen, or it has none. Filled in when it is asked for: another may
    be put there.
    """


class DestroyKey(_Action, frozen=True, tag="destroy_key"):
    """Removes a key from its tokens for ever."""

    key: str
    """keys/sha256-…"""


class EnableKey(_Action, frozen=True, tag="enable_key"):
    """Lets a disabled key sign again."""

    key: str
    disabled: int = 0
    """When that was, microseconds since the epoch. Filled in when it is asked for: it may be disabled again."""


class ApplyPolicy(_Action, frozen=True, tag="apply_policy"):
    """Puts a policy in force."""

    toml: str
    base: bytes = b""
    """SHA-256 of the policy that it was made from. Empty when it is asked for: the one in force."""
    number: int = 0
    """Which policy in a row that is. Filled in when it is asked for: the same text may be in force a second time."""


class UnrevokeCaller(_Action, frozen=True, tag="unrevoke_caller"):
    """Lets a revoked caller or certificate in again."""

    caller: str
    """A caller's name, or sha256-… of a certificate."""
    revoked: int = 0
    """When that was, microseconds since the epoch. Filled in when it is asked for: it may be revoked again."""


class AdoptLog(_Action, frozen=True, tag="adopt_log"):
    """Lets a restored database begin a new log that continues the old one."""

    seen: bytes = b""
    """SHA-256 of the sentences that say what it does. Filled in when it is asked for: what the old log says of the time
    after the backup is approved with it.
    """


Action = InitializeToken | UnblockPin | DestroyKey | EnableKey | ApplyPolicy | UnrevokeCaller | AdoptLog


def kind(action: Action) -> str:
    """Its name in the oneof of `segel.v1.Action`."""
    return str(type(action).__struct_config__.tag)


def action_hash(action: Action) -> bytes:
    """SHA-256, 32 octets: the same for equal actions, on every machine and after every restart."""
    return hashlib.sha256(_CONTEXT + _ENCODER.encode(action)).digest()
