"""Keys that are made or removed and certificates that are stored, and something goes wrong: what is known is said."""

from types import SimpleNamespace

import pytest
from ceremony_desk import NEW_PIN, PIN, SEAL, issue, until
from ceremony_faults import (
    DEVICE_ERROR,
    NO_ROOM,
    PIN_INVALID,
    PIN_LENGTH,
    WRITE_PROTECTED,
    active,
    generate,
    half,
    refused,
    stays_usable,
)
from office_fakes import FakeRecords

from segeld.model.faults import Reason
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.office.key_desk import KeyDesk
from segeld.policy.key_options import KeyOptions
from segeld.supervisor.ceremonies import DestroyedHalf
from segeld.supervisor.half import Known


async def test_what_a_token_does_not_take_is_said_and_nothing_is_made(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        for ckr, reason, word in (
            (NO_ROOM, Reason.TOKEN_NO_ROOM, "no room"),
            (WRITE_PROTECTED, Reason.TOKEN_STATE, "write-protected"),
        ):
            faulty.module.fail("C_GenerateKeyPair", ckr)
            fault = await refused(generate(supervisor))
            assert (fault.reason, word in fault.text) == (reason, True)
        for ckr, reason, word in (
            (PIN_INVALID, Reason.PIN_INVALID, "other characters"),
            (PIN_LENGTH, Reason.PIN_LENGTH, "at least 4"),
            (WRITE_PROTECTED, Reason.TOKEN_STATE, "write-protected"),
        ):
            faulty.module.fail("C_SetPIN", ckr)
            fault = await refused(supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)))
            assert (fault.reason, word in fault.text) == (reason, True)
        assert await supervisor.objects(SEAL) == ()
        faulty.module.fail("C_GenerateKeyPair", DEVICE_ERROR)  # that may have been done, and was not
        assert "No key was made" in (await refused(generate(supervisor))).text
        assert faulty.module.wrong_pins == 0
        stays_usable(supervisor)
        assert (await generate(supervisor)).missing == ""
        assert await supervisor.change_pin(SEAL, Pin(PIN), Pin(NEW_PIN)) == ""


async def test_a_certificate_that_finds_no_room_is_kept_in_the_state_folder_and_leaves_nothing(
    faulty,
) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        certificates = (issue(key.public_key), issue(key.public_key))
        faulty.module.fail("C_CreateObject", NO_ROOM, after=1)
        fault = await refused(supervisor.store_certificates(key.name, certificates))
        assert fault.reason is Reason.TOKEN_NO_ROOM
        assert not [one for one in await supervisor.objects(SEAL) if one.object_class == "certificate"]
        office = KeyDesk(
            SimpleNamespace(state_dir=faulty.folder / "state"),
            lambda: supervisor,
            lambda: SimpleNamespace(options_of=lambda key: KeyOptions()),
            lambda: None,
            ceremonies=lambda: supervisor,
        )
        await office.load(FakeRecords())
        for how in (NO_ROOM, "dies"):
            faulty.module.fail("C_CreateObject", how)
            taken = office.certificates.examine(certificates[0], key.name)
            stored, (warning,) = await office.certificates.take(taken, "wayan")
            assert stored == ("state folder",)
            assert "kept in the state folder, not on the token: tokens/seal: " in warning
        stays_usable(supervisor)


async def test_a_key_whose_worker_died_is_told_as_what_it_is(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        faulty.module.fail("C_GenerateKeyPair", "dies")
        fault = await refused(generate(supervisor))
        assert "No key was made" in fault.text
        assert await supervisor.objects(SEAL) == ()
        faulty.module.fail("C_GenerateKeyPair", "done")
        made = await generate(supervisor)
        assert made.missing == ""
        assert supervisor.key(made.name).active
        # And now nobody can look.
        faulty.module.fail("C_GenerateKeyPair", "done")
        faulty.module.fail("C_FindObjectsInit", "dies", after=3, always=True)
        failed = await half(generate(supervisor, "other"))
        assert failed.known is Known.UNKNOWN
        assert "Whether it is there is not known" in failed.fault.text
        assert "segelctl token objects seal" in failed.fault.text
        faulty.module.mend()


async def test_a_key_that_is_made_while_its_token_is_deactivated_is_named_all_the_same(
    faulty, monkeypatch
) -> None:
    async with faulty.open() as supervisor:
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


async def test_a_key_that_no_worker_could_be_shown_is_known_to_the_next(faulty, monkeypatch) -> None:
    async with faulty.open() as supervisor:
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


async def test_a_module_that_dies_while_a_key_is_removed_is_asked_once_more(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        await supervisor.store_certificates(key.name, (issue(key.public_key),))
        for after in (0, 1):
            faulty.module.fail("C_DestroyObject", "dies", after=after)
            assert await supervisor.destroy_key(key.name) == (SEAL,)
            assert await supervisor.objects(SEAL) == ()
            assert supervisor.key(key.name) is None
            key = await generate(supervisor, f"seal {after}")
        faulty.module.fail("C_DestroyObject", "dies", always=True)
        with pytest.raises(DestroyedHalf) as failed:
            await supervisor.destroy_key(key.name)
        assert (failed.value.gone, failed.value.unsure) == ((), (SEAL,))
        assert "Whether it is gone from there is not known" in failed.value.fault.text
        assert supervisor.key(key.name).active  # so it can be asked for again
        faulty.module.mend()
        assert await supervisor.destroy_key(key.name) == (SEAL,)
        assert await supervisor.objects(SEAL) == ()


async def test_a_key_that_the_token_does_not_let_go_is_there_as_before(faulty) -> None:
    async with faulty.open() as supervisor:
        await active(supervisor)
        key = await generate(supervisor)
        await supervisor.store_certificates(key.name, (issue(key.public_key),))
        faulty.module.fail("C_DestroyObject", WRITE_PROTECTED)
        assert (await refused(supervisor.destroy_key(key.name))).reason is Reason.TOKEN_STATE
        assert len(await supervisor.objects(SEAL)) == 3
        faulty.module.fail("C_DestroyObject", WRITE_PROTECTED, after=1)
        assert await supervisor.destroy_key(key.name) == (SEAL,)
        assert [one.object_class for one in await supervisor.objects(SEAL)] == ["certificate"]
