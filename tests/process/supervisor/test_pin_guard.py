"""A stale PIN, a module that counts logins and locks, and whatever is killed in between: tries are not wasted."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from acts_fake import acts

from segel_cards import PinModule
from segel_softhsm import Testbed
from segeld.config.schema import Config, Listen, Module, PinFile, Timeouts, Tls, Token
from segeld.model.activation import Limits
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.supervisor.supervisor import Supervisor

CARD = TokenName("card")
TIMEOUT = 60
RESTARTS = 3
WORKERS = 4


class Rig:
    """One token of a module that locks, the state folder and the PIN file of a daemon."""

    def __init__(self, folder: Path, testbed: Testbed, label: str = "segel-a") -> None:
        self.module = PinModule(folder, testbed.module)
        self.pin = testbed.token(label).read_pin()
        self.pin_file = folder / "pin"
        self.put("000000")
        self.state_dir = folder / "daemon"
        self.state_dir.mkdir()
        self._environment = {**testbed.environment, **self.module.environment}
        self._label = label

    def put(self, pin: str) -> None:
        self.pin_file.write_text(pin)
        self.pin_file.chmod(0o600)

    @asynccontextmanager
    async def daemon(self, **options):
        """All of the daemon that touches a token."""
        nowhere = Path("/nonexistent")
        more = options.pop("more", {})
        token = Token(
            "card",
            label=self._label,
            workers=options.pop("workers", WORKERS),
            pin=PinFile(self.pin_file),
            timeouts=Timeouts(start=30, login=30),
            **options,
        )
        config = Config(
            listen=Listen(tls=Tls(nowhere, nowhere, nowhere)),
            modules={"card": Module(path=self.module.path, environment=self._environment)},
            tokens={
                "card": token,
                **{name: Token("card", pin=token.pin, **named) for name, named in more.items()},
            },
            state_dir=self.state_dir,
        )

        async def serve(name, worker) -> None:
            self.worker = worker
            await worker.leaving.wait()

        supervisor = Supervisor(config, serve, lambda: None, acts())
        task = asyncio.create_task(supervisor.run())
        try:
            yield supervisor
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def rig(tmp_path: Path, testbed: Testbed) -> Rig:
    return Rig(tmp_path, testbed)


async def until(supervisor: Supervisor, *states: TokenState) -> str:
    token = supervisor._tokens[CARD]
    await asyncio.wait_for(token.news.until(lambda: token.state in states), TIMEOUT)
    return token.record().state_reason


async def test_a_stale_pin_costs_one_try_over_workers_and_restarts(rig: Rig) -> None:
    for _ in range(RESTARTS):
        async with rig.daemon() as supervisor:
            said = await until(supervisor, TokenState.LOCKED)
            assert "segelctl token activate card" in said
    assert rig.module.logins == ["user"]
    assert rig.module.wrong_pins == 1


async def test_when_keepers_are_killed_again_and_again_a_stale_pin_still_costs_one_try(rig: Rig) -> None:
    async with rig.daemon(unattended=True) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        for _ in range(2):
            keeper = await supervisor.keeper()
            os.kill(keeper.pid, signal.SIGKILL)
            await asyncio.wait_for(keeper.ended.wait(), TIMEOUT)
            with pytest.raises(Exception, match=r"refused this PIN before"):
                await supervisor.activate(CARD, None)
    assert rig.module.logins == ["user"]


@pytest.mark.parametrize("trusted", [True, False])
async def test_logins_that_never_end_are_repeated_once_or_not_at_all(rig: Rig, trusted) -> None:
    """The worker hangs in C_Login, and each time the daemon ends with it."""
    async with hanging(rig):
        for _ in range(RESTARTS):
            async with rig.daemon(workers=1, flags_trusted=trusted) as supervisor:
                token = supervisor._tokens[CARD]
                before = len(rig.module.logins)
                await asyncio.wait_for(in_login_or_locked(rig, token, before), TIMEOUT)
                if token.state is TokenState.LOCKED:
                    assert "Look at the device" in token.record().state_reason
                # The daemon goes away in the middle of the login, and with it keeper and worker.
    assert rig.module.logins == ["user"] * (2 if trusted else 1)


async def test_a_worker_killed_in_its_login_is_replaced_once(rig: Rig) -> None:
    async with hanging(rig), rig.daemon(workers=1, flags_trusted=True) as supervisor:
        token = supervisor._tokens[CARD]
        for done in range(2):
            await asyncio.wait_for(in_login_or_locked(rig, token, done), TIMEOUT)
            assert len(rig.module.logins) == done + 1
            token._slots[0].worker.kill("killed by the test")
        await until(supervisor, TokenState.LOCKED)
    assert rig.module.logins == ["user"] * 2


async def test_an_officer_puts_the_right_pin_where_it_is_read_from(rig: Rig) -> None:
    async with rig.daemon() as supervisor:
        await until(supervisor, TokenState.LOCKED)
        rig.put(rig.pin)
        await supervisor.activate(CARD, None)
        assert supervisor.token(CARD).state is TokenState.ACTIVE
        assert "does not say that few PIN tries" in supervisor.token(CARD).pin_tries
    async with rig.daemon() as supervisor:
        await until(supervisor, TokenState.ACTIVE)
    assert rig.module.wrong_pins == 0


async def test_what_is_left_of_the_tries_is_said(rig: Rig) -> None:
    async with rig.daemon(flags_trusted=False) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        said = supervisor.token(CARD).pin_tries
        assert (
            said == "The token says that few PIN tries are left. Its flags are not known to tell the truth."
        )


async def test_attended_tokens_wait_at_the_start_and_need_no_typed_pin(rig: Rig) -> None:
    rig.put(rig.pin)
    async with rig.daemon(unattended=False) as supervisor:
        assert "segelctl token activate card" in await until(supervisor, TokenState.INACTIVE)
        assert rig.module.logins == []
        await supervisor.activate(CARD, None)
        assert supervisor.token(CARD).state is TokenState.ACTIVE


async def test_an_officers_pin_gets_its_own_attempt_while_the_configured_one_is_refused(rig: Rig) -> None:
    async with hanging(rig), rig.daemon(workers=1) as supervisor:
        token = supervisor._tokens[CARD]
        await asyncio.wait_for(in_login_or_locked(rig, token, 0), TIMEOUT)
        held = asyncio.create_task(token.news.next())
        activating = asyncio.create_task(supervisor.activate(CARD, Pin(rig.pin.encode())))
        await asyncio.wait_for(held, TIMEOUT)
        rig.module.go_on()
        assert (await asyncio.wait_for(activating, TIMEOUT)).state is TokenState.ACTIVE
    assert rig.module.logins == ["user"] * 2


async def test_the_end_of_an_activations_term_forgets_no_refusal(rig: Rig) -> None:
    """The PIN file is stale, and an officer typed the right one: for a while."""
    async with rig.daemon(workers=1) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        await supervisor.activate(CARD, Pin(rig.pin.encode()), Limits(signatures=1))
        supervisor.give_back(CARD, supervisor.reserve(CARD, 1), made=1)
        await until(supervisor, TokenState.INACTIVE)
    logins = len(rig.module.logins)
    async with rig.daemon(workers=1) as supervisor:
        await until(supervisor, TokenState.LOCKED)
    assert len(rig.module.logins) == logins


async def test_two_names_of_one_device_do_not_spend_two_tries(rig: Rig) -> None:
    """One by its label, the other by its serial number: the configuration alone does not show it."""
    async with rig.daemon(workers=1) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        serial = supervisor.token(CARD).serial
    tokens = {"other": {"serial": serial}}
    async with rig.daemon(workers=1, more=tokens) as supervisor:
        await until(supervisor, TokenState.LOCKED)
        other = supervisor._tokens[TokenName("other")]
        await asyncio.wait_for(other.news.until(lambda: other.state is TokenState.FAILED), TIMEOUT)
        assert "same device as tokens/card" in other.record().state_reason
    assert rig.module.logins == ["user"]


@pytest.mark.parametrize("unattended", [True, False])
async def test_a_token_that_is_put_back_is_logged_in_only_if_that_is_wanted(rig, testbed, unattended) -> None:
    rig.put(rig.pin)
    tokens = next(path for path in testbed.directory.rglob("tokens") if path.is_dir())
    async with rig.daemon(workers=1, unattended=unattended) as supervisor:
        if not unattended:
            await until(supervisor, TokenState.INACTIVE)
            await supervisor.activate(CARD, None)
        await until(supervisor, TokenState.ACTIVE)
        away = tokens.rename(tokens.with_name("away"))
        tokens.mkdir()
        rig.worker.kill("the token was pulled")
        await until(supervisor, TokenState.ABSENT)
        logins = len(rig.module.logins)
        tokens.rmdir()
        away.rename(tokens)
        if unattended:
            await until(supervisor, TokenState.ACTIVE)
        else:
            assert "segelctl token activate card" in await until(supervisor, TokenState.INACTIVE)
            assert len(rig.module.logins) == logins
            assert (await supervisor.activate(CARD, None)).state is TokenState.ACTIVE


@asynccontextmanager
async def hanging(rig: Rig):
    """Every C_Login is counted, and then waits."""
    rig.module.hang()
    try:
        yield
    finally:
        rig.module.go_on()


async def in_login_or_locked(rig: Rig, token, before: int) -> None:
    while len(rig.module.logins) == before and token.state is not TokenState.LOCKED:  # noqa: ASYNC110  # another process's file
        await asyncio.sleep(0.01)
