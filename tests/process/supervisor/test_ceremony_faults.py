"""What a token answers when officers change it, and modules that die in the middle: what is known is said, and it ends."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from ceremony_desk import NEW_PIN, PIN, SEAL, SO_PIN, TIMEOUT, WRONG, Desk, issue, until
from office_fakes import FakeRecords
from served import wait_until

from segeld.config.schema import PinFile
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.office.act_token import InitializingToken, UnblockingPin
from segeld.office.actions import InitializeToken, UnblockPin
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import ChangeState, Person
from segeld.office.key_desk import KeyDesk
from segeld.supervisor.ceremonies import DestroyedHalf
from segeld.supervisor.half import Half, Known

DEVICE_ERROR, NO_ROOM, SESSION_EXISTS, WRITE_PROTECTED, PIN_INVALID, PIN_LENGTH = (
    0x30,
    0x31,
    0xB6,
    0xE2,
    0xA1,
    0xA2,
)
WAYAN = Person("wayan", "uri:wayan")
INIT, UNBLOCK = InitializeToken("tokens/seal"), UnblockPin("tokens/seal")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The folder of a SoftHSM2 token that is set up."""
    folder = tmp_path_factory.mktemp("made")
    desk = Desk(folder)
    pins = ("--so-pin", SO_PIN.decode(), "--pin", PIN.decode())
    subprocess.run(
        ("softhsm2-util", "--init-token", "--free", "--label", "seal", *pins),
        env={**desk.environment},
        check=True,
        capture_output=True,
        timeout=TIMEOUT,
    )
    return folder / "tokens"


@pytest.fixture
def desk(tmp_path, made) -> Desk:
    desk = Desk(tmp_path, faulty=True)
    shutil.copytree(made, tmp_path / "tokens", dirs_exist_ok=True)
    return desk


async def refused(work) -> Fault:
    with pytest.raises(Fault) as caught:
        await work
    return caught.value


async def half(work) -> Half:
    with pytest.raises(Half) as caught:
        await work
    return caught.value


async def active(supervisor) -> None:
    await supervisor.activate(SEAL, Pin(PIN))


def stays_usable(supervisor) -> None:
    assert supervisor.token(SEAL).state is TokenState.ACTIVE
    assert supervisor._tokens[SEAL]._pin.is_held()


async def generate(supervisor, label: str = "seal"):
    return await supervisor.generate_key(SEAL, label, "p256", b"")


class Office:
    """Where one officer asks for changes and runs them."""

    def __init__(self, supervisor, acts) -> None:
        executors = {
            InitializeToken: InitializingToken(supervisor, acts),
            UnblockPin: UnblockingPin(supervisor, acts),
        }
        self.desk = ChangeDesk(FakeRecords(), executors, two_person=lambda: False, standing=lambda _: "1")

    async def ask(self, action) -> int:
        return (await self.desk.propose(action, WAYAN)).number

    async def run(self, number: int, *, so_pin: bytes = SO_PIN, new_pin: bytes = NEW_PIN):
        secrets = {"so_pin": Pin(so_pin), "new_pin": Pin(new_pin)}
        try:
            return await self.desk.run_change(number, WAYAN, secrets)
        finally:
            assert not any(map(len, secrets.values()))

    def change(self, number: int):
        return self.desk.change(number)


async def test_what_a_token_does_not_take_is_said_and_nothing_is_made(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        for ckr, reason, word in (
            (NO_ROOM, Reason.TOKEN_NO_ROOM, "no room"),
            (WRITE_PROTECTED, Reason.TOKEN_STATE, "write-protected"),
        ):
            desk.module.fail("C_GenerateKeyPair", ckr)
            fault = await refused(generate(supervisor))
            assert (fault.reason, word in fault.text) == (reason, True)
        for ckr, reason, word in (
            (PIN_INVALID, Reason.PIN_INVALID, "other characters"),
            (PIN_LENGTH, Reason.PIN_LENGTH, "at least 4"),
            (WRITE_PROTECTED, Reason.TOKEN_STATE, "write-protected"),
        ):
            desk.module.fail("C_SetPIN", ckr)
            fault = await refused(supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)))
            assert (fault.reason, word in fault.text) == (reason, True)
        assert await supervisor.objects(SEAL) == ()
        desk.module.fail("C_GenerateKeyPair", DEVICE_ERROR)  # that may have been done, and was not
        assert "No key was made" in (await refused(generate(supervisor))).text
        assert desk.module.wrong_pins == 0
        stays_usable(supervisor)
        assert (await generate(supervisor)).missing == ""
        assert await supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)) == ""


async def test_a_certificate_that_finds_no_room_is_kept_in_the_state_folder_and_leaves_nothing(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        certificates = (issue(key.public_key), issue(key.public_key))
        desk.module.fail("C_CreateObject", NO_ROOM, after=1)
        fault = await refused(supervisor.store_certificates(key.name, certificates))
        assert fault.reason is Reason.TOKEN_NO_ROOM
        assert not [one for one in await supervisor.objects(SEAL) if one.object_class == "certificate"]
        office = KeyDesk(
            SimpleNamespace(state_dir=desk.folder / "state"),
            lambda: supervisor,
            lambda: SimpleNamespace(options_of=lambda key: None),
            lambda: None,
            ceremonies=lambda: supervisor,
        )
        await office.load(FakeRecords())
        for how in (NO_ROOM, "dies"):
            desk.module.fail("C_CreateObject", how)
            taken = office.certificates.examine(certificates[0], key.name)
            stored, (warning,) = await office.certificates.take(taken, "wayan")
            assert stored == ("state folder",)
            assert "kept in the state folder, not on the token: tokens/seal: " in warning
        stays_usable(supervisor)


async def test_a_token_that_others_hold_or_that_is_protected_is_not_erased(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        office = Office(supervisor, desk.acts)
        number = await office.ask(INIT)
        for ckr, reason, word in (
            (SESSION_EXISTS, Reason.TOKEN_BUSY, "Another program has a session"),
            (WRITE_PROTECTED, Reason.TOKEN_STATE, "write-protected"),
            (PIN_LENGTH, Reason.PIN_LENGTH, "of that length"),
        ):
            desk.module.fail("C_InitToken", ckr)
            fault = await refused(office.run(number))
            assert (fault.reason, word in fault.text) == (reason, True)
            assert office.change(number).state is ChangeState.APPROVED
            assert word in office.change(number).note
            await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
        assert supervisor.key(key.name).active
        stays_usable(supervisor)
        assert (await office.run(number)).state is ChangeState.DONE


async def test_a_new_pin_that_is_refused_when_the_token_is_erased_already_can_be_set_later(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        office = Office(supervisor, desk.acts)
        number = await office.ask(INIT)
        desk.module.fail("C_InitPIN", PIN_INVALID)
        fault = await refused(office.run(number))
        assert fault.reason is Reason.PIN_INVALID
        assert "is erased, but its PIN could not be set" in fault.text
        assert "segelctl token pin-unblock seal" in fault.text
        assert office.change(number).state is ChangeState.FAILED
        await until(supervisor, lambda record: record.state is TokenState.INACTIVE)
        logins = len(desk.module.logins)
        again = await office.ask(UNBLOCK)
        desk.module.fail("C_InitPIN", PIN_INVALID)
        assert (await refused(office.run(again))).reason is Reason.PIN_INVALID
        assert office.change(again).state is ChangeState.APPROVED
        assert (await office.run(again)).state is ChangeState.DONE
        assert desk.module.logins[logins:] == ["so", "so"]  # the PIN from before is not tried
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE


async def test_a_wrong_so_pin_is_counted_down_and_a_locked_one_is_not_sent(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        office = Office(supervisor, desk.acts)
        first, second = await office.ask(UNBLOCK), await office.ask(INIT)
        for number, left in ((first, "few tries"), (second, "one try"), (first, "is locked now")):
            fault = await refused(office.run(number, so_pin=WRONG))
            assert fault.reason is Reason.PIN_INCORRECT
            assert left in fault.text
        logins = len(desk.module.logins)
        for number in (first, second):
            fault = await refused(office.run(number))
            assert fault.reason is Reason.PIN_LOCKED
            assert "nothing was sent" in fault.text
            assert office.change(number).state is ChangeState.APPROVED
        assert desk.module.wrong_so_pins == 3
        assert "so" not in desk.module.logins[logins:]
        assert desk.module.calls.count("C_InitToken") == 1
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)


async def test_a_module_that_dies_before_it_erases_has_erased_nothing(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        office = Office(supervisor, desk.acts)
        number = await office.ask(INIT)
        desk.module.fail("C_InitToken", "dies")
        fault = await refused(office.run(number))
        assert "Nothing was erased: the token is as it was." in fault.text
        assert office.change(number).state is ChangeState.APPROVED
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
        assert supervisor.key(key.name).active
        assert (await office.run(number)).state is ChangeState.DONE


async def test_a_module_that_dies_when_it_has_erased_leaves_a_token_that_is_not_trusted(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        office = Office(supervisor, desk.acts)
        number = await office.ask(INIT)
        desk.module.fail("C_InitToken", "done")
        logins = len(desk.module.logins)
        fault = await refused(office.run(number))
        assert "Whether it is erased is not known" in fault.text
        assert office.change(number).state is ChangeState.FAILED
        await until(supervisor, lambda record: record.state is TokenState.INACTIVE)
        assert supervisor.key(key.name) is None
        assert desk.module.logins[logins:] == []
        assert (await office.run(await office.ask(UNBLOCK))).state is ChangeState.DONE
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).keys == ()


@pytest.mark.parametrize(("how", "is_new"), [("dies", False), ("done", True)])
async def test_a_module_that_dies_in_a_change_of_the_pin_costs_no_try(desk, how, is_new) -> None:
    desk.pin_file.write_bytes(PIN)
    desk.pin_file.chmod(0o600)
    async with desk.open(pin=PinFile(desk.pin_file)) as supervisor:
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
        desk.module.fail("C_SetPIN", how)
        failed = await half(supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)))
        assert failed.known is Known.UNKNOWN
        assert "Whether it has the new PIN or the old one is not known" in failed.fault.text
        assert supervisor.token(SEAL).state is TokenState.ACTIVE  # who is logged in stays so
        assert not supervisor._tokens[SEAL]._pin.is_held()
        assert desk.pin_file.read_bytes() == PIN
        (worker,) = supervisor.served.workers
        worker.kill("a test")
        await until(supervisor, lambda record: record.state is not TokenState.ACTIVE)
    logins = len(desk.module.logins)
    async with desk.open(pin=PinFile(desk.pin_file)) as supervisor:
        await until(supervisor, lambda record: record.state is TokenState.LOCKED)
        assert len(desk.module.logins) == logins
        if not is_new:  # as it was said: the new one first
            assert (await refused(supervisor.activate(SEAL, Pin(NEW_PIN)))).reason is Reason.PIN_INCORRECT
            await supervisor.deactivate(SEAL)
        right = NEW_PIN if is_new else PIN
        assert (await supervisor.activate(SEAL, Pin(right))).state is TokenState.ACTIVE
    assert desk.module.wrong_pins == 0


@pytest.mark.parametrize("how", ["dies", "done"])
async def test_a_module_that_dies_when_the_so_sets_the_pin_leaves_a_change_that_failed(desk, how) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        office = Office(supervisor, desk.acts)
        number = await office.ask(UNBLOCK)
        desk.module.fail("C_InitPIN", how)
        fault = await refused(office.run(number))
        assert "Whether it has the new PIN or the old one is not known" in fault.text
        assert office.change(number).state is ChangeState.FAILED
        assert not supervisor._tokens[SEAL]._pin.is_held()
        assert (await office.run(await office.ask(UNBLOCK))).state is ChangeState.DONE
        await supervisor.deactivate(SEAL)
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE
        assert desk.module.wrong_pins == 0


async def called(desk, function: str) -> None:
    """Returns when a process is in it."""
    await asyncio.to_thread(wait_until, lambda: function in desk.module.calls)


async def test_a_quarantine_ends_a_ceremony_that_is_under_way(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        desk.module.fail("C_GenerateKeyPair", "hangs")
        generating = asyncio.create_task(generate(supervisor))
        await called(desk, "C_GenerateKeyPair")
        await supervisor.quarantine(SEAL, "a strange noise")
        failed = await asyncio.wait_for(half(generating), TIMEOUT)
        assert failed.known is Known.UNKNOWN
        assert "its token is in quarantine" in failed.fault.text
        assert "Whether it is there is not known" in failed.fault.text


async def test_a_ceremony_that_is_under_way_when_the_daemon_stops_leaves_no_process(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        desk.module.fail("C_GenerateKeyPair", "hangs")
        generating = asyncio.create_task(generate(supervisor))
        await called(desk, "C_GenerateKeyPair")
        clerk = supervisor._tokens[SEAL].clerk
        clerk._while = 0.1
        worker = clerk._keys._desk._worker
    assert worker.ended.is_set()
    assert not clerk._working
    with pytest.raises((Half, Fault, asyncio.CancelledError)):
        await asyncio.wait_for(generating, TIMEOUT)


async def test_a_token_whose_new_pin_could_not_be_noted_is_not_locked_any_more(desk, monkeypatch) -> None:
    async with desk.open() as supervisor:
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
        assert desk.module.wrong_pins == 0


async def test_another_device_than_the_one_that_was_shown_is_left_alone(desk) -> None:
    async with desk.open() as supervisor:
        for work in (
            supervisor.unblock(SEAL, Pin(SO_PIN), Pin(NEW_PIN), "4711"),
            supervisor.initialize(SEAL, None, None, Pin(SO_PIN), Pin(NEW_PIN), "4711"),
        ):
            fault = await refused(work)
            assert fault.reason is Reason.TOKEN_STATE
            assert "the change is for '4711'" in fault.text
        assert not {"C_InitPIN", "C_InitToken"} & set(desk.module.calls)
        assert desk.module.logins == []
        serial = supervisor.token(SEAL).serial
        await supervisor.unblock(SEAL, Pin(SO_PIN), Pin(NEW_PIN), serial)


async def test_a_key_whose_worker_died_is_told_as_what_it_is(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        desk.module.fail("C_GenerateKeyPair", "dies")
        fault = await refused(generate(supervisor))
        assert "No key was made" in fault.text
        assert await supervisor.objects(SEAL) == ()
        desk.module.fail("C_GenerateKeyPair", "done")
        made = await generate(supervisor)
        assert made.missing == ""
        assert supervisor.key(made.name).active
        # And now nobody can look.
        desk.module.fail("C_GenerateKeyPair", "done")
        desk.module.fail("C_FindObjectsInit", "dies", after=3, always=True)
        failed = await half(generate(supervisor, "other"))
        assert failed.known is Known.UNKNOWN
        assert "Whether it is there is not known" in failed.fault.text
        assert "segelctl token objects seal" in failed.fault.text
        desk.module.mend()


async def test_a_key_that_is_made_while_its_token_is_deactivated_is_named_all_the_same(
    desk, monkeypatch
) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        crew = supervisor._tokens[SEAL]._crew
        replace = crew.replace

        async def deactivated() -> None:
            await supervisor.deactivate(SEAL)
            await replace()

        monkeypatch.setattr(crew, "replace", deactivated)
        made = await generate(supervisor)
        assert "tokens/seal is not active any more" in made.missing
        assert supervisor.key(made.name) is None or not supervisor.key(made.name).active
        monkeypatch.undo()
        await active(supervisor)
        assert supervisor.key(made.name).active


async def test_a_key_that_no_worker_could_be_shown_is_known_to_the_next(desk, monkeypatch) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        await generate(supervisor, "first")
        crew = supervisor._tokens[SEAL]._crew

        async def lost() -> None:
            (worker,) = supervisor.served.workers
            worker.kill("a test")
            await until(supervisor, lambda record: record.state is not TokenState.ACTIVE)

        monkeypatch.setattr(crew, "replace", lost)
        made = await generate(supervisor)
        assert "not used yet" in made.missing
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
        assert supervisor.key(made.name).active


async def test_a_module_that_dies_while_a_key_is_removed_is_asked_once_more(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        await supervisor.store_certificates(key.name, (issue(key.public_key),))
        for after in (0, 1):
            desk.module.fail("C_DestroyObject", "dies", after=after)
            assert await supervisor.destroy_key(key.name) == (SEAL,)
            assert await supervisor.objects(SEAL) == ()
            assert supervisor.key(key.name) is None
            key = await generate(supervisor, f"seal {after}")
        desk.module.fail("C_DestroyObject", "dies", always=True)
        with pytest.raises(DestroyedHalf) as failed:
            await supervisor.destroy_key(key.name)
        assert (failed.value.gone, failed.value.unsure) == ((), (SEAL,))
        assert "Whether it is gone from there is not known" in failed.value.fault.text
        assert supervisor.key(key.name).active  # so it can be asked for again
        desk.module.mend()
        assert await supervisor.destroy_key(key.name) == (SEAL,)
        assert await supervisor.objects(SEAL) == ()


async def test_a_key_that_the_token_does_not_let_go_is_there_as_before(desk) -> None:
    async with desk.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        await supervisor.store_certificates(key.name, (issue(key.public_key),))
        desk.module.fail("C_DestroyObject", WRITE_PROTECTED)
        assert (await refused(supervisor.destroy_key(key.name))).reason is Reason.TOKEN_STATE
        assert len(await supervisor.objects(SEAL)) == 3
        desk.module.fail("C_DestroyObject", WRITE_PROTECTED, after=1)
        assert await supervisor.destroy_key(key.name) == (SEAL,)
        assert [one.object_class for one in await supervisor.objects(SEAL)] == ["certificate"]
