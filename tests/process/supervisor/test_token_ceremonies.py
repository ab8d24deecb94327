"""A supervisor's officers' side on SoftHSM2: from a blank slot to a key on all workers, PINs changed and set anew."""

import asyncio
import stat

import pytest
from ceremony_desk import NEW_PIN, PIN, SEAL, SO_PIN, TIMEOUT, WRONG, Desk, initialize, issue, set_up, until

from segeld.config.schema import PinFile
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)


async def test_a_blank_slot_becomes_a_token_with_a_key_on_all_workers_and_its_certificate(desk) -> None:
    async with desk.open(workers=2) as supervisor:
        assert supervisor.token(SEAL).state is TokenState.ABSENT
        await set_up(supervisor)
        assert (await supervisor.activate(SEAL, Pin(PIN))).state is TokenState.ACTIVE
        await until(supervisor, lambda record: record.workers_ready == 2)
        before = set(supervisor.served.workers)
        made = await supervisor.generate_key(SEAL, "seal-2026", "p256", b"")
        key = made.name
        assert made.missing == ""
        assert supervisor.key(key).active
        assert key in supervisor.names_on(SEAL)
        await until(supervisor, lambda record: record.workers_ready == 2)
        assert not before & supervisor.served.workers  # every worker is one that knows it
        (shown,) = supervisor.token(SEAL).keys
        assert (shown.label, len(shown.cka_id), shown.weak) == ("seal-2026", 16, ())
        certificate = issue(shown.public_key)
        assert await supervisor.store_certificates(key, (certificate,)) == (SEAL,)
        assert supervisor.key(key).chain == (certificate,)
        objects = await supervisor.objects(SEAL)
        assert sorted(one.object_class for one in objects) == ["certificate", "private key", "public key"]
        assert {one.key for one in objects} == {key}
        assert not any(one.warnings for one in objects)
        shown = await supervisor.public_objects(SEAL)
        assert sorted(one.object_class for one in shown) == ["certificate", "public key"]
        assert supervisor.token(SEAL).looked_through
        assert await supervisor.destroy_key(key) == (SEAL,)
        assert supervisor.key(key) is None
        assert await supervisor.objects(SEAL) == ()


async def test_what_is_wrong_is_said_before_anything_is_made(desk) -> None:
    async with desk.open() as supervisor:
        await set_up(supervisor)
        with pytest.raises(Fault, match="segelctl token activate seal") as inactive:
            await supervisor.generate_key(SEAL, "x", "p256", b"")
        assert inactive.value.reason is Reason.TOKEN_NOT_ACTIVE
        await supervisor.activate(SEAL, Pin(PIN))
        for label, kind, cka_id, field in (
            ("", "p256", b"", "label"),
            ("x", "dsa", b"", "kind"),
            ("x", "p256", bytes(65), "id"),
        ):
            with pytest.raises(Fault) as wrong:
                await supervisor.generate_key(SEAL, label, kind, cka_id)
            assert (wrong.value.reason, wrong.value.field) == (Reason.FIELD_INVALID, field)
        await supervisor.generate_key(SEAL, "x", "ed25519", b"")
        with pytest.raises(Fault) as there:
            await supervisor.generate_key(SEAL, "x", "p256", b"")
        assert there.value.reason is Reason.KEY_EXISTS
        assert supervisor.token(SEAL).state is TokenState.ACTIVE


async def test_slots_that_are_not_meant_are_refused(desk) -> None:
    async with desk.open() as supervisor:
        for slot, reason in (
            (None, Reason.TOKEN_NOT_PRESENT),
            (("soft", 4711), Reason.SLOT_NOT_FOUND),
            (("other", 0), Reason.SLOT_NOT_FOUND),
        ):
            with pytest.raises(Fault) as refused:
                await supervisor.initialize(SEAL, slot, None, Pin(SO_PIN), Pin(PIN))
            assert refused.value.reason is reason
        with pytest.raises(Fault, match="would not be found"):
            await supervisor.initialize(SEAL, None, "another", Pin(SO_PIN), Pin(PIN))
        await set_up(supervisor)
        with pytest.raises(Fault, match="there already") as twice:
            await initialize(supervisor)
        assert twice.value.reason is Reason.TOKEN_STATE


async def test_a_token_that_signs_is_initialised_anew_and_waits_for_its_new_pin(desk) -> None:
    async with desk.open(workers=2) as supervisor:
        await set_up(supervisor)
        await supervisor.activate(SEAL, Pin(PIN))
        key = (await supervisor.generate_key(SEAL, "seal", "p256", b"")).name
        await until(supervisor, lambda record: record.workers_ready == 2)  # SoftHSM2 loses a token in a login
        with pytest.raises(Fault, match="SO PIN") as wrong:
            await initialize(supervisor, blank=False, so_pin=WRONG)
        assert wrong.value.reason is Reason.PIN_INCORRECT
        await until(supervisor, lambda record: record.workers_ready == 2)
        assert supervisor.token(SEAL).state is TokenState.ACTIVE
        assert supervisor.key(key).active
        await initialize(supervisor, blank=False, pin=NEW_PIN)
        await until(supervisor, lambda record: record.state is TokenState.INACTIVE)
        assert supervisor.key(key) is None
        with pytest.raises(Fault):
            await supervisor.activate(SEAL, Pin(PIN))
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE
        assert supervisor.token(SEAL).keys == ()


async def test_a_changed_pin_goes_into_the_file_and_workers_that_come_use_it(desk) -> None:
    desk.pin_file.write_bytes(PIN + b"\n")
    desk.pin_file.chmod(0o400)
    async with desk.open(pin=PinFile(desk.pin_file)) as supervisor:
        await set_up(supervisor)
        await supervisor.activate(SEAL, Pin(PIN))
        assert await supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)) == ""
        assert desk.pin_file.read_bytes() == NEW_PIN
        assert stat.S_IMODE(desk.pin_file.stat().st_mode) == 0o400
        (victim,) = supervisor.served.workers
        victim.kill("a test")
        await asyncio.wait_for(victim.ended.wait(), TIMEOUT)
        await until(supervisor, lambda record: record.state is TokenState.RECOVERING)
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
    async with desk.open(pin=PinFile(desk.pin_file)) as supervisor:
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)


async def test_a_file_that_cannot_be_written_is_said_and_the_old_pin_is_not_tried(desk, monkeypatch) -> None:
    desk.pin_file.write_bytes(PIN)
    desk.pin_file.chmod(0o600)
    beside = desk.folder / ".pin.same"
    beside.touch()  # its name is taken
    monkeypatch.setattr("segeld.supervisor.pin_file.secrets.token_hex", lambda _: "same")
    async with desk.open(pin=PinFile(desk.pin_file)) as supervisor:
        await set_up(supervisor)
        await supervisor.activate(SEAL, Pin(PIN))
        advice = await supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN))
        assert f"{desk.pin_file} still holds the old PIN" in advice
        assert desk.pin_file.read_bytes() == PIN
    async with desk.open(pin=PinFile(desk.pin_file)) as supervisor:
        await until(supervisor, lambda record: record.state is TokenState.LOCKED)
        assert "not tried again" in supervisor.token(SEAL).state_reason
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE


async def test_a_wrong_present_pin_is_tried_once_and_harms_nothing(desk) -> None:
    async with desk.open() as supervisor:
        await set_up(supervisor)
        await supervisor.activate(SEAL, Pin(PIN))
        with pytest.raises(Fault, match="token pin-change") as wrong:
            await supervisor.change_pin(SEAL, Pin(WRONG), Pin(NEW_PIN))
        assert wrong.value.reason is Reason.PIN_INCORRECT
        with pytest.raises(Fault) as again:
            await supervisor.change_pin(SEAL, Pin(WRONG), Pin(NEW_PIN))
        assert again.value.reason is Reason.PIN_REFUSED_BEFORE
        assert supervisor.token(SEAL).state is TokenState.ACTIVE
        assert supervisor._tokens[SEAL]._pin.is_held()
        with pytest.raises(Fault, match="at least 4") as short:
            await supervisor.change_pin(SEAL, Pin(PIN), Pin(b"1"))
        assert short.value.reason is Reason.PIN_LENGTH
        assert await supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)) == ""


async def test_the_pin_of_a_token_that_waits_is_changed_too(desk) -> None:
    async with desk.open() as supervisor:
        await set_up(supervisor)
        await supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN))
        with pytest.raises(Fault) as old:
            await supervisor.activate(SEAL, Pin(PIN))
        assert old.value.reason is Reason.PIN_REFUSED_BEFORE
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE


async def test_the_so_pin_opens_a_token_that_refused_its_pin(desk) -> None:
    async with desk.open() as supervisor:
        await set_up(supervisor)
        with pytest.raises(Fault):
            await supervisor.activate(SEAL, Pin(WRONG))
        await until(supervisor, lambda record: record.state is TokenState.LOCKED)
        with pytest.raises(Fault, match="refused the SO PIN"):
            await supervisor.unblock(SEAL, Pin(WRONG), Pin(NEW_PIN))
        await supervisor.unblock(SEAL, Pin(SO_PIN), Pin(NEW_PIN))
        await until(supervisor, lambda record: record.state is TokenState.INACTIVE)
        assert (await supervisor.activate(SEAL, Pin(NEW_PIN))).state is TokenState.ACTIVE


async def test_a_quarantine_ends_all_use_until_an_officer_ends_it(desk) -> None:
    async with desk.open() as supervisor:
        await set_up(supervisor)
        with pytest.raises(Fault) as none:
            await supervisor.release(SEAL)
        assert none.value.reason is Reason.TOKEN_STATE
        await supervisor.activate(SEAL, Pin(PIN))
        record = await supervisor.quarantine(SEAL, "a strange noise")
        assert record.state is TokenState.QUARANTINED
        assert "a strange noise" in record.state_reason
        assert "segelctl token release seal" in record.state_reason
        for act in (
            lambda: supervisor.quarantine(SEAL, "again"),
            lambda: supervisor.activate(SEAL, Pin(PIN)),
        ):
            with pytest.raises(Fault) as refused:
                await act()
            assert refused.value.reason is Reason.TOKEN_STATE
        with pytest.raises(Fault, match="segelctl token release seal") as barred:
            await supervisor.objects(SEAL)
        assert barred.value.reason is Reason.TOKEN_QUARANTINED
        await supervisor.release(SEAL)
        await until(supervisor, lambda record: record.state is TokenState.ACTIVE)
