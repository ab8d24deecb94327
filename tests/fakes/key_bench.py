"""The desk of keys, with one key on two tokens, a policy and a clock of the test's own."""

import asyncio
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from office_fakes import FakeRecords
from status_authority import NOW, StatusAuthority, der

from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState
from segeld.office.key_desk import KeyDesk

A, B = TokenName("a"), TokenName("b")
PLACES = ((A, TokenState.ACTIVE), (B, TokenState.ACTIVE))
CA = StatusAuthority()
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
PUBLIC = KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NAME = KeyName.of(PUBLIC)
SEAL = CA.seal(public_key=KEY)


class Tokens:
    """One key on two tokens, and what is done to it there."""

    def __init__(self) -> None:
        self.chain = der(SEAL, CA.certificate)
        self.there = True
        self.others: list[KeyRecord] = []
        self.reviewed = asyncio.Event()
        self.full = False
        self.fails: Exception | None = None

    def key(self, name):
        return next((each for each in self.keys() if each.name == name), None)

    def keys(self):
        mine = KeyRecord(NAME, KeyKind.P_256, PUBLIC, self.chain, PLACES, None, "")
        return (*((mine,) if self.there else ()), *self.others)

    def also(self, public_key) -> None:
        """Another key, without certificate."""
        public = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.others.append(KeyRecord(KeyName.of(public), KeyKind.P_256, public, (), PLACES, None, ""))

    def review(self) -> None:
        self.reviewed.set()

    async def store_certificates(self, key, chain):
        if self.full:
            raise Fault(Reason.TOKEN_NO_ROOM, "a: it has no room.")
        self.chain = chain
        return (A, B)

    async def destroy_key(self, key):
        if self.fails is not None:
            raise self.fails
        self.there = False
        return (A, B)


class KeyBench:
    def __init__(self, folder) -> None:
        self.folder = folder
        self.now = NOW.timestamp()
        self.records = FakeRecords()
        self.tokens = Tokens()
        self.signer = None
        self.options = SimpleNamespace(without_certificate=True, expired=True, revoked=True)
        self.desk = self.make()

    def make(self) -> KeyDesk:
        return KeyDesk(
            SimpleNamespace(state_dir=self.folder),
            lambda: self.tokens,
            lambda: SimpleNamespace(options_of=lambda key: self.options),
            lambda: self.signer,
            ceremonies=lambda: self.tokens,
            clock=lambda: self.now,
        )

    async def restart(self) -> None:
        self.desk = self.make()
        await self.desk.load(self.records)

    @property
    def record(self) -> KeyRecord:
        return self.tokens.key(NAME)

    def barred(self):
        fault = self.desk.standing.bar(self.record)
        return fault and fault.reason

    def acts(self):
        return [what for what, _ in self.records.acts(str(NAME))]
