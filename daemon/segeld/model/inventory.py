"""What is there: keys and tokens as the supervisor knows them, for everybody above it to read."""

from dataclasses import dataclass

from segeld.model.algorithm import Algorithm, EcdsaEncoding, KeyKind
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason
from segeld.model.job import Signature
from segeld.model.kind import Kind
from segeld.model.names import KeyName, TokenName
from segeld.model.priority import Priority
from segeld.model.token_state import TokenState


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A private key as it lies on one token; usable if it has a name and no `unusable` reason."""

    label: str
    cka_id: bytes
    kind: KeyKind | None
    name: KeyName | None
    public_key: bytes | None
    """SubjectPublicKeyInfo, DER."""
    chain: tuple[bytes, ...]
    """Certificates, DER, the key's own first."""
    unusable: Reason | None
    trouble: str
    always_authenticate: bool = False
    """It wants its PIN before every signature: slow, and never in bulk unless the policy says so."""
    weak: tuple[str, ...] = ()
    """What makes it weak, a sentence each; known once the token was active."""
    certificates: tuple[bytes, ...] = ()
    """Those of the chain that are on the token."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is public of the keys of one device, as it was last seen under a token's name."""

    serial: str
    label: str
    keys: tuple[TokenKey, ...]
    """With names, and without their chains: these depend on the configuration."""


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One configured token."""

    name: TokenName
    state: TokenState
    state_reason: str
    """One sentence for people: why, and what to do. Empty when ACTIVE."""
    state_since: float
    """Seconds since the epoch."""
    label: str
    serial: str
    manufacturer: str
    model: str
    flags: tuple[str, ...]
    workers_ready: int
    workers_configured: int
    pin_source: str
    keys: tuple[TokenKey, ...]
    active_until: float | None = None
    """Seconds since the epoch; None if an officer ends it."""
    signatures_left: int | None = None
    """None: any number."""
    waiting: int = 0
    """Items that wait for its keys."""
    looked_through: bool = False
    """Whether `keys` are all its private keys: they were looked for after a login, since the start."""
    pin_tries: str = ""
    """What its flags say of the PIN tries that are left: one sentence. Empty if it was not seen yet."""
    away: tuple[TokenKey, ...] = ()
    """Keys of the device that had this name before: another one is in its place, and nobody has logged in to that yet."""
    blank: str = ""
    """What can be done with a blank token that is there while this one is not: a sentence, which ends `state_reason` too."""

    @property
    def key_names(self) -> frozenset[KeyName]:
        return frozenset(key.name for key in self.keys if key.name is not None)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key, on all the tokens that hold it."""

    name: KeyName
    kind: KeyKind | None
    """None if it is of a kind that segel does not sign with."""
    public_key: bytes
    chain: tuple[bytes, ...]
    tokens: tuple[tuple[TokenName, TokenState], ...]
    """Its replicas that may be used, and how their tokens are."""
    unusable: Reason | None
    """Set if no token holds it in a usable form."""
    trouble: str
    always_authenticate: bool = False
    """It wants its PIN before every signature, on one of its tokens at least."""

    @property
    def active(self) -> bool:
        return self.unusable is None and any(state is TokenState.ACTIVE for _, state in self.tokens)


@dataclass(frozen=True, slots=True)
class KeyMade:
    """A key that was just made on a token."""

    name: KeyName
    kind: KeyKind
    public_key: bytes
    """SubjectPublicKeyInfo, DER."""
    token: TokenName
    label: str
    cka_id: bytes
    missing: str = ""
    """Why it is not shown yet, and what to do: sentences. Empty if every worker of the token knows it."""


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """One object on a token."""

    object_class: str
    """For people: private key, public key, certificate, secret key, data, other."""
    label: str
    cka_id: bytes
    kind: str
    """For people; empty if there is no word for it."""
    key: KeyName | None
    """The key that it belongs to, if that is known."""
    attributes: tuple[str, ...]
    """Names of attributes that are true, without CKA_."""
    warnings: tuple[str, ...]
    """What makes it weak, a sentence each."""


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """One slot of a module, as the module reports it."""

    module: str
    """The configured name of the module."""
    slot_id: int
    description: str
    manufacturer: str
    token_label: str | None
    """None if the slot is empty; then the other token_ fields are empty too."""
    token_serial: str
    token_manufacturer: str
    token_model: str
    token_flags: tuple[str, ...]
    token: TokenName | None
    """The configured token that this one is."""


@dataclass(frozen=True, slots=True)
class Survey:
    slots: tuple[SlotRecord, ...]
    unreachable: tuple[str, ...]
    """Modules that could not be asked: one sentence each."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one caller wants signed at once, checked and allowed."""

    caller: str
    """The caller's name in the policy: the unit of fairness and of limits."""
    key: KeyName
    algorithm: Algorithm
    encoding: EcdsaEncoding
    inputs: tuple[bytes, ...]
    deadline: Deadline
    request_id: str
    priority: Priority = Priority.INTERACTIVE
    """What the policy gives to this caller at most."""
    uncertified: bool = False
    """As in `Kind`."""

    @property
    def kind(self) -> Kind:
        return Kind(self.key, self.algorithm, self.encoding, self.uncertified)


@dataclass(frozen=True, slots=True)
class Signed:
    """What came of an order."""

    outcomes: tuple[Signature | Fault, ...]
    """One for each input, in order."""
