"""Tokens and keys that tests of the services see, and what is asked of them."""

from dataclasses import dataclass, field, replace

from segeld.model.activation import NO_LIMITS
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, SlotRecord, Survey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState


def make_key(seed: str, kind: KeyKind = KeyKind.P_256, state: TokenState = TokenState.ACTIVE) -> KeyRecord:
    """A key as an inventory shows it; its public key is not one, which nobody here asks."""
    public_key = f"public key of {seed}".encode()
    return KeyRecord(
        name=KeyName.of(public_key),
        kind=kind,
        public_key=public_key,
        chain=(b"certificate of " + seed.encode(),),
        tokens=((TokenName("payroll"), state),),
        unusable=None,
        trouble="",
    )


def make_token(word: str = "payroll", state: TokenState = TokenState.ACTIVE, keys=()) -> TokenRecord:
    return TokenRecord(
        name=TokenName(word),
        state=state,
        state_reason="" if state is TokenState.ACTIVE else "why it is so.",
        state_since=1_800_000_000.25,
        label="Payroll",
        serial="0042",
        manufacturer="ACME",
        model="One",
        flags=("CKF_TOKEN_INITIALIZED",),
        workers_ready=2,
        workers_configured=2,
        pin_source="prompt",
        keys=tuple(keys),
    )


@dataclass
class FakeInventory:
    records: dict = field(default_factory=dict)
    configured: dict = field(default_factory=dict)
    fail: BaseException | None = None
    pins: list = field(default_factory=list)
    limits: list = field(default_factory=list)
    decided: list = field(default_factory=list)

    def key(self, name):
        return self.records.get(name)

    def keys(self):
        return tuple(self.records.values())

    def token(self, name):
        return self.configured.get(name)

    def tokens(self):
        return tuple(self.configured.values())

    async def survey(self):
        if self.fail is not None:
            raise self.fail
        empty = SlotRecord("vendor", 7, "reader 7", "ACME", None, "", "", "", (), None)
        full = SlotRecord(
            "vendor", 1, "reader 1", "ACME", "Payroll", "0042", "ACME", "One", ("F",), TokenName("payroll")
        )
        return Survey((empty, full), ("module other: cannot be loaded",))

    async def activate(self, name, pin, limits=NO_LIMITS, who=""):
        self.limits.append(limits)
        self.pins.append(None)
        if pin is not None:
            with pin.view() as view:
                self.pins[-1] = bytes(view)
            pin.wipe()
        if self.fail is not None:
            raise self.fail
        if name not in self.configured:
            raise Fault(Reason.TOKEN_NOT_FOUND, f"no token is configured as {name}", token=str(name))
        return self.configured[name]

    async def deactivate(self, name, *, only_if_idle=False):
        if only_if_idle and self.configured[name].waiting:
            raise Fault(Reason.TOKEN_BUSY, "Items wait.", token=str(name))
        if self.fail is not None:
            raise self.fail
        self.configured[name] = replace(self.configured[name], state=TokenState.INACTIVE)
        return self.configured[name]

    async def quarantine(self, token, reason, who):
        if self.fail is not None:
            raise self.fail
        self.decided.append((token, reason, who))
        return replace(self.configured[token], state=TokenState.QUARANTINED)

    async def release(self, token, who):
        if self.fail is not None:
            raise self.fail
        self.decided.append((token, who))
        return self.configured[token]
