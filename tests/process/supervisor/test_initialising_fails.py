"""A token that is initialised, and something goes wrong: what is known is said, and nothing more is lost."""

import pytest
from ceremony_desk import NEW_PIN, SEAL, SO_PIN, WRONG, until
from ceremony_faults import (
    INIT,
    PIN_INVALID,
    PIN_LENGTH,
    SESSION_EXISTS,
    UNBLOCK,
    WRITE_PROTECTED,
    Office,
    active,
    generate,
    refused,
    stays_usable,
)

from segeld.model.faults import Reason
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.office.changes import ChangeState


async def test_a_token_that_others_hold_or_that_is_protected_is_not_erased(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        office = Office(supervisor, faulty.acts)
        number = await office.ask(INIT)
        for ckr, reason, word in (
            (SESSION_EXISTS, Reason.TOKEN_BUSY, "Another program has a session"),
            (WRITE_PROTECTED, Reason.TOKEN_STATE, "write-protected"),
            (PIN_LENGTH, Reason.PIN_LENGTH, "of that length"),
        ):
            faulty.module.fail("C_InitToken", ckr)
            fault = await refused(office.run(number))
            assert (fault.reason, word in fault.text) == (reason, True)
            assert office.change(number).state is ChangeState.APPROVED
            assert word in office.change(number).note
            await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
        assert supervisor.key(key.name).active
        stays_usable(supervisor)
        assert (await office.run(number)).state is ChangeState.DONE


async def test_a_new_pin_that_is_refused_when_the_token_is_erased_already_can_be_set_later(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        office = Office(supervisor, faulty.acts)
        number = await office.ask(INIT)
        faulty.module.fail("C_InitPIN", PIN_INVALID)
        fault = await refused(office.run(number))
        assert fault.reason is Reason.PIN_INVALID
        assert "is erased, but its PIN could not be set" in fault.text
        assert "segelctl token pin-unblock seal" in fault.text
        assert office.change(number).state is ChangeState.FAILED
        await until(supervisor, lambda record: record.state is TokenState.INACTIVE)
        logins = len(faulty.module.logins)
        again = await office.ask(UNBLOCK)
        faulty.module.fail("C_InitPIN", PIN_INVALID)
        assert (await refused(office.run(again))).reason is Reason.PIN_INVALID
        assert office.change(again).state is ChangeState.APPROVED
        assert (await office.run(again)).state is ChangeState.DONE
        assert faulty.module.logins[logins:] == ["so", "so"]  # the PIN from before is not tried
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE


async def test_a_wrong_so_pin_is_counted_down_and_a_locked_one_is_not_sent(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        office = Office(supervisor, faulty.acts)
        first, second = await office.ask(UNBLOCK), await office.ask(INIT)
        for asked, left, wrong in (
            (UNBLOCK, "few tries", b"000001"),
            (INIT, "one try", b"000002"),
            (UNBLOCK, "is locked now", b"000003"),
        ):
            number = await office.ask(asked)  # what two agreed to is one try
            fault = await refused(office.run(number, so_pin=wrong))
            assert fault.reason is Reason.PIN_INCORRECT
            assert left in fault.text
            assert office.change(number).state is ChangeState.FAILED
        logins = len(faulty.module.logins)
        for number in (first, second):
            fault = await refused(office.run(number))
            assert fault.reason is Reason.PIN_LOCKED
            assert "nothing was sent" in fault.text
            assert office.change(number).state is ChangeState.APPROVED
        assert faulty.module.wrong_so_pins == 3
        assert "so" not in faulty.module.logins[logins:]
        assert faulty.module.calls.count("C_InitToken") == 1
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)


@pytest.mark.parametrize("action", [INIT, UNBLOCK])
async def test_an_so_pin_that_was_refused_costs_no_second_try_however_it_is_asked(faulty, action) -> None:
    async with faulty.open() as supervisor:
        office = Office(supervisor, faulty.acts)
        fault = await refused(office.run(await office.ask(action), so_pin=WRONG))
        assert (fault.reason, faulty.module.wrong_so_pins) == (Reason.PIN_INCORRECT, 1)
    async with faulty.open() as supervisor:  # and over a restart
        office = Office(supervisor, faulty.acts)
        for asked in (INIT, UNBLOCK):
            fault = await refused(office.run(await office.ask(asked), so_pin=WRONG))
            assert fault.reason is Reason.PIN_REFUSED_BEFORE
        assert faulty.module.wrong_so_pins == 1
        await supervisor.deactivate(SEAL)  # that is what an officer says who is sure of it
        fault = await refused(office.run(await office.ask(action), so_pin=WRONG))
        assert (fault.reason, faulty.module.wrong_so_pins) == (Reason.PIN_INCORRECT, 2)
        assert (await office.run(await office.ask(UNBLOCK))).state is ChangeState.DONE
        assert faulty.module.wrong_so_pins == 0


async def test_a_module_that_dies_before_it_erases_has_erased_nothing(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        office = Office(supervisor, faulty.acts)
        number = await office.ask(INIT)
        faulty.module.fail("C_InitToken", "dies")
        fault = await refused(office.run(number))
        assert "Nothing was erased: the token is as it was." in fault.text
        assert office.change(number).state is ChangeState.APPROVED
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
        assert supervisor.key(key.name).active
        assert (await office.run(number)).state is ChangeState.DONE


async def test_a_module_that_dies_when_it_has_erased_leaves_a_token_that_is_not_trusted(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        office = Office(supervisor, faulty.acts)
        number = await office.ask(INIT)
        faulty.module.fail("C_InitToken", "done")
        logins = len(faulty.module.logins)
        fault = await refused(office.run(number))
        assert "Whether it is erased is not known" in fault.text
        assert office.change(number).state is ChangeState.FAILED
        await until(supervisor, lambda record: record.state is TokenState.INACTIVE)
        assert supervisor.key(key.name) is None
        assert faulty.module.logins[logins:] == []
        assert (await office.run(await office.ask(UNBLOCK))).state is ChangeState.DONE
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).keys == ()


async def test_another_device_than_the_one_that_was_shown_is_left_alone(faulty) -> None:
    async with faulty.open() as supervisor:
        for work in (
            supervisor.unblock(SEAL, Pin(SO_PIN), Pin(NEW_PIN), "4711"),
            supervisor.initialize(SEAL, None, None, Pin(SO_PIN), Pin(NEW_PIN), "4711"),
        ):
            fault = await refused(work)
            assert fault.reason is Reason.TOKEN_STATE
            assert "the change is for '4711'" in fault.text
        assert not {"C_InitPIN", "C_InitToken"} & set(faulty.module.calls)
        assert faulty.module.logins == []
        serial = supervisor.token(SEAL).serial
        await supervisor.unblock(SEAL, Pin(SO_PIN), Pin(NEW_PIN), serial)
