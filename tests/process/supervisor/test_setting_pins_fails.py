"""A PIN that is changed or set anew, and something goes wrong: what is known is said, and it costs no try."""

import pytest
from ceremony_desk import NEW_PIN, PIN, SEAL, SO_PIN, WRONG, until
from ceremony_faults import PIN_INCORRECT, UNBLOCK, Office, active, half, refused

from segeld.config.schema import PinFile
from segeld.model.faults import Reason
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.office.changes import ChangeState
from segeld.supervisor.half import Known


@pytest.mark.parametrize(("how", "is_new"), [("dies", False), ("done", True)])
async def test_a_module_that_dies_in_a_change_of_the_pin_costs_no_try(faulty, how, is_new) -> None:
    faulty.pin_file.write_bytes(PIN)
    faulty.pin_file.chmod(0o600)
    async with faulty.open(pin=PinFile(faulty.pin_file)) as supervisor:
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
        faulty.module.fail("C_SetPIN", how)
        failed = await half(supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)))
        assert failed.known is Known.UNKNOWN
        assert "Whether it has the new PIN or the old one is not known" in failed.fault.text
        assert supervisor.token(SEAL).state is TokenState.ACTIVE  # who is logged in stays so
        assert not supervisor._tokens[SEAL]._pin.is_held()
        assert faulty.pin_file.read_bytes() == PIN
        (worker,) = supervisor.served.workers
        worker.kill("a test")
        await until(supervisor, lambda record: record.state is not TokenState.ACTIVE)
    logins = len(faulty.module.logins)
    async with faulty.open(pin=PinFile(faulty.pin_file)) as supervisor:
        await until(supervisor, lambda record: record.state is TokenState.LOCKED)
        assert len(faulty.module.logins) == logins
        if not is_new:  # as it was said: the new one first
            assert (await refused(supervisor.activate(SEAL, Pin(NEW_PIN)))).reason is Reason.PIN_INCORRECT
            await supervisor.deactivate(SEAL)
        right = NEW_PIN if is_new else PIN
        assert (await supervisor.activate(SEAL, Pin(right))).state is TokenState.ACTIVE
    assert faulty.module.wrong_pins == 0


async def test_a_present_pin_that_only_its_change_refuses_is_not_sent_again_and_not_held_any_more(
    faulty,
) -> None:
    """Some modules take any PIN for a login that another program has made already."""
    async with faulty.open() as supervisor:
        await active(supervisor)
        faulty.module.fail("C_SetPIN", PIN_INCORRECT)
        fault = await refused(supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)))
        assert fault.reason is Reason.PIN_INCORRECT
        assert supervisor.token(SEAL).state is TokenState.ACTIVE  # who is logged in stays so
        assert "Its PIN is gone" in supervisor.token(SEAL).state_reason
        calls = faulty.module.calls.count("C_SetPIN")
        for again in (
            supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)),
            supervisor.activate(SEAL, Pin(PIN)),
        ):
            assert (await refused(again)).reason is Reason.PIN_REFUSED_BEFORE
        assert faulty.module.calls.count("C_SetPIN") == calls


@pytest.mark.parametrize("how", ["dies", "done"])
async def test_a_module_that_dies_when_the_so_sets_the_pin_leaves_a_change_that_failed(faulty, how) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        office = Office(supervisor, faulty.acts)
        number = await office.ask(UNBLOCK)
        faulty.module.fail("C_InitPIN", how)
        fault = await refused(office.run(number))
        assert "Whether it has the new PIN or the old one is not known" in fault.text
        assert office.change(number).state is ChangeState.FAILED
        assert not supervisor._tokens[SEAL]._pin.is_held()
        assert (await office.run(await office.ask(UNBLOCK))).state is ChangeState.DONE
        await supervisor.deactivate(SEAL)
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE
        assert faulty.module.wrong_pins == 0


async def test_a_token_whose_new_pin_could_not_be_noted_is_not_locked_any_more(faulty, monkeypatch) -> None:
    async with faulty.open() as supervisor:
        await refused(supervisor.activate(SEAL, Pin(WRONG)))
        await until(supervisor, lambda record: record.state is TokenState.LOCKED)

        async def full(*_) -> str:
            return "the disk is full"

        monkeypatch.setattr(supervisor._guard, "keep", full)
        failed = await half(supervisor.unblock(SEAL, Pin(SO_PIN), Pin(NEW_PIN)))
        assert failed.known is Known.DONE
        assert "its new PIN is set, but" in failed.fault.text
        monkeypatch.undo()
        await until(supervisor, lambda record: record.state is TokenState.INACTIVE)
        assert "pin-unblock" not in supervisor.token(SEAL).state_reason
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE
        assert faulty.module.wrong_pins == 0
