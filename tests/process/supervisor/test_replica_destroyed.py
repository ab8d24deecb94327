"""A key on two tokens is destroyed: workers are lost in the middle, a token is not there, and it ends all the same."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from acts_fake import acts
from office_fakes import FakeRecords

from segel_cards import PinModule
from segel_softhsm import Testbed, oddities
from segeld.config.schema import Config, Listen, Module, PinFile, Timeouts, Tls, Token
from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState
from segeld.office.act_key import DestroyingKey
from segeld.office.actions import DestroyKey
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import ChangeState, Person
from segeld.office.key_desk import KeyDesk
from segeld.supervisor.supervisor import Supervisor

TIMEOUT = 60
A, B = TokenName("a"), TokenName("b")
WAYAN = Person("wayan", "uri:wayan")
OBJECTS = 3
"""Of the key on each token."""


class Office:
    """Two tokens, and one officer who may do it alone."""

    def __init__(self, folder: Path, bed: Testbed) -> None:
        self.bed, self.folder, self.now = bed, folder, 2_000_000_000.0
        self.module = PinModule(folder, bed.module)
        replica, _ = oddities.add_replicated_key(bed, ["segel-a", "segel-b"], "replica", "p256")
        self.key = KeyName.parse(f"keys/sha256-{replica.spki_sha256}")
        (folder / "state").mkdir(exist_ok=True)

    @asynccontextmanager
    async def open(self):
        nowhere = Path("/nonexistent")
        environment = {**self.bed.environment, **self.module.environment}
        config = Config(
            listen=Listen(tls=Tls(nowhere, nowhere, nowhere)),
            modules={"soft": Module(path=self.module.path, environment=environment)},
            tokens={
                word: Token(
                    "soft",
                    label=f"segel-{word}",
                    workers=1,
                    pin=PinFile(self.bed.token(f"segel-{word}").pin_file),
                    timeouts=Timeouts(start=30),
                )
                for word in ("a", "b")
            },
            state_dir=self.folder / "state",
        )
        self.workers = {}

        async def serve(name, worker) -> None:
            self.workers[name] = worker
            await worker.leaving.wait()

        self.supervisor = Supervisor(config, serve, lambda: None, acts())
        task = asyncio.create_task(self.supervisor.run())
        try:
            for token in (A, B):
                await self.until(token, TokenState.ACTIVE)
            keys = KeyDesk(
                SimpleNamespace(state_dir=self.folder),
                lambda: self.supervisor,
                lambda: SimpleNamespace(options_of=lambda key: None),
                lambda: None,
                ceremonies=lambda: self.supervisor,
                clock=lambda: self.now,
            )
            await keys.load(records := FakeRecords())
            await keys.withdrawal.disable(self.key, "wayan", "old")
            self.now += 31 * 86_400
            self.desk = ChangeDesk(
                records,
                {DestroyKey: DestroyingKey(keys.withdrawal)},
                two_person=lambda: False,
                standing=lambda _: "an officer",
            )
            self.records = records
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=TIMEOUT)

    async def until(self, token: TokenName, state: TokenState) -> None:
        known = self.supervisor._tokens[token]
        await asyncio.wait_for(known.news.until(lambda: known.record().state is state), TIMEOUT)

    async def ask(self) -> int:
        return (await self.desk.propose(DestroyKey(str(self.key)), WAYAN)).number

    async def run(self, number: int) -> str:
        """What was wrong; empty if nothing."""
        try:
            await self.desk.run_change(number, WAYAN, {})
        except Fault as fault:
            self.reason = fault.reason
            return fault.text
        return ""

    def state(self, number: int) -> ChangeState:
        return self.desk.change(number).state

    def holding(self) -> set[TokenName]:
        return {token for token in (A, B) if self.key in self.supervisor._tokens[token].record().key_names}

    async def take_out(self, label: str) -> Path:
        """The token is not there any more."""
        serial = self.bed.token(label).serial
        (found,) = [
            folder
            for folder in (self.bed.directory / "tokens").iterdir()
            if folder.name.replace("-", "").endswith(serial)
        ]
        away = self.folder / found.name
        found.rename(away)
        return away


@pytest.fixture
def office(tmp_path, testbed) -> Office:
    return Office(tmp_path, testbed)


async def test_it_goes_from_both_or_it_is_said_from_which_and_can_be_ended(office) -> None:
    async with office.open():
        # The first token's module dies, and once more when it is asked again: nobody knows, so nothing is promised.
        number = await office.ask()
        office.module.fail("C_DestroyObject", "dies", always=True)
        text = await office.run(number)
        assert "tokens/a: the device did not answer" in text
        assert "Whether it is gone from there is not known" in text
        assert f"segelctl key destroy {office.key}" in text
        assert office.state(number) is ChangeState.FAILED
        assert office.holding() == {A, B}
        # The first one is rid of it, and the second one's module dies.
        office.module.fail("C_DestroyObject", "dies", after=OBJECTS, always=True)
        number = await office.ask()
        text = await office.run(number)
        assert text.startswith(f"{office.key} is gone from tokens/a, for ever, but: tokens/b: ")
        assert office.state(number) is ChangeState.FAILED
        assert office.records.leaves[-2].what == "key destroyed in part"
        assert office.records.leaves[-2].facts == {"tokens": "tokens/a", "not_known": "tokens/b"}
        assert office.holding() == {B}
        # What is left can be asked for, and ends.
        office.module.mend()
        number = await office.ask()
        assert await office.run(number) == ""
        assert office.state(number) is ChangeState.DONE
        assert office.holding() == set()
        assert office.supervisor.key(office.key) is None


async def test_nothing_goes_while_one_of_its_tokens_is_not_there(office) -> None:
    async with office.open():
        number = await office.ask()
        await office.supervisor.deactivate(B)
        text = await office.run(number)
        assert office.reason is Reason.TOKEN_NOT_ACTIVE
        assert "Nothing was removed: tokens/b" in text
        assert "It is on tokens/a, tokens/b, and goes from all of them together." in text
        assert "segelctl token activate b" in text
        assert (office.state(number), office.holding()) == (ChangeState.APPROVED, {A, B})
        away = await office.take_out("segel-b")
        office.workers[B].kill("a test")
        await office.until(B, TokenState.ABSENT)
        text = await office.run(number)
        assert "is absent" in text
        assert "take it out of the configuration first" in text
        assert (office.state(number), office.holding()) == (ChangeState.APPROVED, {A, B})
        away.rename(office.bed.directory / "tokens" / away.name)
        await office.until(B, TokenState.INACTIVE)
        await office.supervisor.activate(B, None)
        assert await office.run(number) == ""
        assert office.holding() == set()
