"""Front and worker: the front asks, the worker answers. Each answer carries the number of its request."""

import enum
from typing import Final

import msgspec

from segeld.ipc.ceremony_wire import CeremonyAnswer, CeremonyRequest
from segeld.ipc.worker_frames import Answer as Answer  # noqa: PLC0414 - shown as its own
from segeld.ipc.worker_frames import Request as Request  # noqa: PLC0414 - shown as its own
from segeld.ipc.worker_frames import TokenInfo as TokenInfo  # noqa: PLC0414 - shown as its own
from segeld.model.algorithm import EcdsaEncoding, KeyKind
from segeld.model.faults import Reason

MAX_INPUTS: Final = 4000
"""Inputs of one `Sign`: so many of the longest signatures (RSA-4096) fit into the frame of the answer."""


class Remedy(enum.StrEnum):
    """What the front must do after a failure (the worker itself never recovers: it is replaced)."""

    ITEM = "item"
    """Nothing: this item fails, the next may work."""
    REPLACE = "replace"
    """End this worker and start a fresh one."""
    ABSENT = "absent"
    """The token is gone: end the worker, look for the token."""
    LOCK = "lock"
    """The token needs an officer: end the worker, try nothing."""


class Exit(enum.IntEnum):
    """Exit codes of a worker, for the front's log. A signal's number, negative, is none of these."""

    DONE = 0
    """The control pipe was closed."""
    USAGE = 64
    """Started with other options than `--control FD --pin FD`."""
    BAD_FRAME = 65
    """A frame that is over a limit, is no msgpack, or is not a request."""
    CRASHED = 70
    """A mistake of the worker's own; one line on stderr says where."""
    OUT_OF_PLACE = 76
    """A request that is not allowed in the state the worker was in."""


class Load(Request, frozen=True):
    """Load the module and initialise it with CKF_OS_LOCKING_OK."""

    module: str
    reserved: str | None = None
    """CK_C_INITIALIZE_ARGS.pReserved, for modules that want a string there."""


class Loaded(Answer, frozen=True):
    description: str
    manufacturer: str
    library_version: str
    cryptoki_version: str
    locking: bool
    """False if the module answered CKR_CANT_LOCK: one session, one thread."""


class Survey(Request, frozen=True):
    """List slots, tokens and mechanisms; needs no token open."""


class SlotInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    slot_id: int
    description: str
    manufacturer: str
    token: TokenInfo | None = None
    mechanisms: tuple[str, ...] = ()
    """The signing mechanisms the token lists, by their PKCS #11 names. A hint: lists are often wrong."""
    trouble: str | None = None
    """Why this slot could not be read."""


class Surveyed(Answer, frozen=True):
    slots: tuple[SlotInfo, ...]


class OpenToken(Request, frozen=True):
    """Find one token by label, serial or both, and open its sessions. Nothing is logged in."""

    label: str | None
    serial: str | None
    sessions: int
    writable: bool = False
    """For sessions in which objects and PINs can be changed (CKF_RW_SESSION)."""


class TokenOpened(Answer, frozen=True):
    token: TokenInfo
    sessions: int
    """How many the token gave; fewer than asked for if it said CKR_SESSION_COUNT."""


class FindKeys(Request, frozen=True):
    """Pair private keys with public keys. Before the login only what is public is found."""

    public_keys: tuple[bytes, ...] = ()
    """SubjectPublicKeyInfo, DER, from the configuration: for tokens that hold neither public key nor certificate."""
    alone: bool = False
    """No other worker signs with this token: else a key that wants its PIN before each signature cannot be used, for
    another's signature may come between the two."""


class FoundKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A private key on the token. Usable if `public_key` is there and `unusable` is not."""

    label: str
    cka_id: bytes
    kind: KeyKind | None
    public_key: bytes | None
    """SubjectPublicKeyInfo, DER."""
    certificates: tuple[bytes, ...]
    """DER: the key's own certificate first, then issuers as far as they are on the token."""
    always_authenticate: bool
    unusable: Reason | None = None
    """KEY_AMBIGUOUS or KEY_UNUSABLE."""
    trouble: str = ""
    """One sentence for people."""
    bits: int = 0
    """Of an RSA key; else 0."""
    attributes: tuple[str, ...] = ()
    """CKA_ names without prefix of what is true; known after the login."""
    denied: tuple[str, ...] = ()
    """Of what is false."""


class KeysFound(Answer, frozen=True):
    keys: tuple[FoundKey, ...]


class Sign(Request, frozen=True):
    """Sign a chunk: one C_Sign for each input, in order. An urgent one goes between two signatures of others."""

    key: bytes
    """SHA-256 of the SubjectPublicKeyInfo."""
    algorithm: int
    encoding: EcdsaEncoding
    urgent: bool
    deadlines: tuple[int, ...]
    """One for each input, CLOCK_MONOTONIC, nanoseconds: what is not begun by then is not signed."""
    inputs: tuple[bytes, ...]
    """At most `MAX_INPUTS`."""

    def __post_init__(self) -> None:
        if len(self.deadlines) != len(self.inputs):
            raise ValueError("there must be one deadline for each input")


class ItemFailed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why one input has no signature."""

    reason: Reason
    ckr: int
    """The module's answer; 0 if it was not the module."""
    remedy: Remedy
    certain: bool
    """True if the token surely made no signature for it."""
    begun: bool = True
    """False if another input's failure came first: the module was never asked for this one."""


class Signed(Answer, frozen=True):
    outcomes: tuple[bytes | ItemFailed, ...]
    """In the order of the inputs: signatures (verified), or why not. After a remedy other than ITEM the rest
    of the chunk is not begun and carries the same reason."""
    device_ns: int
    """Time spent in C_SignInit and C_Sign."""


class Failed(Answer, frozen=True):
    """A request other than Sign failed."""

    reason: Reason
    ckr: int
    remedy: Remedy
    text: str
    """For the log and for officers; never holds a secret."""
    certain: bool = True
    """Whether surely nothing on the token was changed."""
    blank: tuple[int, ...] = ()
    """Of a token that is not there: slots with blank ones that could become it."""


AnyRequest = Load | Survey | OpenToken | FindKeys | Sign | CeremonyRequest
AnyAnswer = Loaded | Surveyed | TokenOpened | KeysFound | Signed | Failed | CeremonyAnswer

REQUESTS: Final = msgspec.msgpack.Decoder(AnyRequest)
ANSWERS: Final = msgspec.msgpack.Decoder(AnyAnswer)
