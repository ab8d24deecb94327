"""Database and log together, without a daemon: what a backup does not know is learnt from the old log, and nothing that
somebody else wrote into the database is believed.
"""

import asyncio
import shutil
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import apsw
import pytest
from prometheus_client import CollectorRegistry

from segeld.app.storage import MARK, open_storage
from segeld.audit.leaf import Act, decode
from segeld.cli import restore as restoring
from segeld.config import Config
from segeld.jobqueue.codec import seal, unseal
from segeld.jobqueue.sqlite import FILE, back_up
from segeld.jobqueue.sqlite.record_seal import PREFIX
from segeld.model.activation import Limits
from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName, TokenName
from segeld.model.principal import Principal, Role
from segeld.model.quarantine import Quarantine
from segeld.office import policy_kept
from segeld.office.act_log import Adoption
from segeld.office.actions import AdoptLog
from segeld.office.changes import Person
from segeld.office.key_records import KeyRecords
from segeld.office.policy_desk import PolicyDesk
from segeld.office.token_records import TokenRecords

POLICY = "".join(
    f'[[{role}]]\nname = "{name}"\nsans = ["email:{name}"]\n'
    for role, name in (
        ("callers", "tax"),
        ("callers", "land"),
        ("officers", "siti"),
        ("officers", "rahmat"),
        ("officers", "made"),
    )
)
WITHOUT_MADE = POLICY[: POLICY.rindex("[[officers]]")]
SITI = Principal("siti", Role.OFFICER, "email:siti")
ONE, TWO = KeyName(bytes([1] * 32)), KeyName(bytes([2] * 32))
SEAL, STAMP, LETTER = TokenName("seal"), TokenName("stamp"), TokenName("letter")


class Place:
    """A state folder, and what is opened there."""

    def __init__(self, folder, monkeypatch) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        self.policy = folder / "policy.toml"
        self.policy.write_text(POLICY)
        self.backup = folder / "backup.db"
        self.config = SimpleNamespace(
            state_dir=self.state,
            limits=SimpleNamespace(open_job_lifetime=60.0),
            audit=SimpleNamespace(witness=None),
        )
        monkeypatch.setattr(restoring.config, "load", lambda _: self.config)
        self.said: dict[str, str | None] = {}

    @asynccontextmanager
    async def open(self):
        office = PolicyDesk(self.policy)
        told = self.said

        def tell(what):
            return lambda text: told.__setitem__(what, text)

        config: Config = self.config  # type: ignore[assignment]
        async with open_storage(
            config, office, CollectorRegistry(), tell("store"), tell("log"), unsealed=tell("seal")
        ) as storage:
            self.office, self.storage, self.store = office, storage, storage.store
            self.keys, self.tokens = KeyRecords(), TokenRecords()
            await self.keys.load(self.store)
            await self.tokens.load(self.store)
            yield self

    async def restore(self) -> None:
        assert await asyncio.to_thread(restoring.run, self.backup, self.policy) == 0

    async def disable(self, key) -> None:
        changes = {"disabled_at": time.time(), "disabled_by": "siti", "disabled_why": "lost"}
        await self.keys.change(key, "key disabled", "siti", changes, reason="lost")

    async def enable(self, key) -> None:
        changes = {"disabled_at": 0.0, "disabled_by": "", "disabled_why": ""}
        await self.keys.change(key, "key enabled", "siti", changes)

    async def apply(self, toml) -> None:
        kept = self.office.document()
        await self.office.apply(toml, kept.hash, kept.number, "siti", "rahmat")

    async def let_in(self, name) -> None:
        shut_out = self.office.shut_out
        await shut_out.unrevoke(name, shut_out.require_revoked(name).stamp, "siti", "rahmat")

    async def summary(self) -> str:
        described = await self.storage.adoption.describe(AdoptLog())
        assert described.action.seen
        return "\n".join(described.summary)


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)


@pytest.fixture
async def restored(place):
    """After the backup much was shut, some of it and other things were opened again, and made left."""
    async with place.open():
        revoke = place.office.shut_out.revoke
        await revoke("land", SITI, "on leave")
        await place.disable(TWO)
        await place.tokens.isolate(STAMP, Quarantine(1.0, "siti", "wet"))
        await asyncio.to_thread(back_up, place.state / FILE, place.backup)
        await revoke("tax", SITI, "its laptop was stolen")
        await place.let_in("tax")
        await revoke("tax", SITI, "stolen again")
        await revoke("sha256-" + "ab" * 32, SITI, "copied")
        await place.let_in("land")
        await place.disable(ONE)
        await place.enable(TWO)
        await place.tokens.isolate(SEAL, Quarantine(5.0, "siti", "the reader was open"))
        await place.tokens.release(STAMP, "siti", "release")
        await place.tokens.limit(LETTER, "siti", Limits(60.0, 5))
        await place.apply(WITHOUT_MADE)
    await place.restore()
    return place


def lose_policy(place) -> None:
    (copy,) = place.state.glob("policy-*.toml")
    copy.unlink()


async def test_what_was_shut_is_shut_again_before_anything_is_served_and_nothing_is_opened(restored):
    async with restored.open() as place:
        is_revoked = place.office.shut_out.is_revoked
        assert is_revoked("tax")
        assert is_revoked("nobody", bytes.fromhex("ab" * 32))
        assert is_revoked("land"), "it was let in by what the log says"
        assert place.keys[ONE].disabled_why == "lost"
        assert place.keys[TWO].disabled_at, "it was enabled by what the log says"
        assert place.tokens.quarantine(SEAL).why == "the reader was open"
        assert place.tokens.quarantine(STAMP) is not None
        assert place.tokens.limited_by(LETTER) == "siti"
        said = await place.summary()
        for shown in (
            "tax is shut out again: by siti",
            "stolen again",
            f"{ONE} is disabled again",
            "tokens/seal is in quarantine again",
            "tokens/letter waits for its PIN again",
            "land was let in by siti after the backup",
            f"{TWO} was enabled by siti",
            "tokens/stamp was released by siti",
        ):
            assert shown in said
        assert "shut again (5)" in place.said["log"]
        assert place.storage.halted()


async def test_the_last_policy_is_in_force_again_because_the_log_confirms_it(restored):
    async with restored.open() as place:
        assert place.office.document().toml == WITHOUT_MADE
        assert "made" not in place.office.current().names(Role.OFFICER)
        assert "is in force again" in await place.summary()
        number = place.office.document().number
    async with restored.open() as place:
        assert (place.office.document().toml, place.office.document().number) == (WITHOUT_MADE, number)


@pytest.mark.parametrize("other", [None, POLICY + "# another\n"])
async def test_a_policy_that_is_lost_is_said_and_who_left_has_no_part(restored, other):
    (copy,) = restored.state.glob("policy-*.toml")
    copy.write_text(other) if other else copy.unlink()
    async with restored.open() as place:
        digest = policy_kept.policy_hash(WITHOUT_MADE).hex()
        assert place.office.document().toml == POLICY
        assert place.office.shut_out.is_revoked("made")
        assert place.office.standing("made", "email:made", b"") == ""
        assert not place.office.shut_out.is_revoked("siti")
        said = await place.summary()
        assert "THE POLICY IN FORCE IS AN OLDER ONE" in said
        assert digest in said
        assert "made is no officer of the policy that was in force last, and is shut out" in said
        assert digest in place.said["log"]
        assert any(digest in warning for warning in place.office.warnings())
        bars = place.storage.adoption.bars
        assert bars(AdoptLog(), Person("made", "email:made")).reason is Reason.ROLE_REQUIRED
        assert bars(AdoptLog(), Person("siti", "email:siti")) is None
    restored.policy.write_text(WITHOUT_MADE)  # by whoever keeps the machine
    async with restored.open() as place:
        assert place.office.document().toml == WITHOUT_MADE
        assert "OLDER" not in await place.summary()
        assert "OLDER" not in place.said["log"]
        assert not [warning for warning in place.office.warnings() if digest in warning]


async def test_it_is_done_once_and_written_down(restored):
    async with restored.open() as place:
        acts = await place.store.leaf_count()
        await place.let_in("tax")
        said = await place.summary()
    async with restored.open() as place:
        assert not place.office.shut_out.is_revoked("tax"), "two officers had let it in since"
        assert await place.summary() == said
        assert await place.store.leaf_count() < acts + 8
        await place.storage.adoption.run(AdoptLog(), "siti", {}, "rahmat")
        assert place.said["log"] is None
        assert not place.storage.halted()
        assert place.storage.adoption.bars(AdoptLog(), Person("made", "email:made")) is None
        assert await place.store.records("since") == {}
    async with restored.open() as place:
        assert place.said["log"] is None
        assert place.said.get("seal") is None


async def test_the_last_policy_that_officers_apply_themselves_is_no_older_one(restored):
    lose_policy(restored)
    async with restored.open() as place:
        assert "OLDER" in place.said["log"]
        await place.apply(WITHOUT_MADE)
        assert "OLDER" not in place.said["log"]
        assert "OLDER" not in await place.summary()
        assert place.office.document().later == b""


async def test_interrupted_while_it_shuts_again_it_goes_on_where_it_was(restored, monkeypatch):
    async def stopped(*_) -> None:
        raise Fault(Reason.STORAGE_FULL, "The disk has no room.")

    with monkeypatch.context() as patch:
        patch.setattr(Adoption, "looked_back", stopped)
        with pytest.raises(Fault):
            async with restored.open():
                pass
    async with restored.open() as place:
        acts = [decode(data) for data in await place.store.leaves(0, 1000)]
        revoked = [act.subject for act in acts if isinstance(act, Act) and act.what == "caller revoked"]
        assert sorted(revoked) == ["sha256-" + "ab" * 32, "tax"]
        assert "shut again (5)" in place.said["log"]


async def test_what_was_approved_is_what_is_adopted(restored):
    async with restored.open() as place:
        adoption: Adoption = place.storage.adoption
        with pytest.raises(Fault, match="not what was shown"):
            await adoption.describe(AdoptLog(bytes(32)))
        described = await adoption.describe(AdoptLog())
        assert (await adoption.describe(described.action)).summary == described.summary
        await place.apply(WITHOUT_MADE + "# more\n")
        assert (await adoption.describe(described.action)).summary == described.summary


async def test_interrupted_before_the_new_log_was_taken_it_is_all_done_again(restored, monkeypatch):
    from segeld.app import storage

    async def stopped(*_) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage, "_await_adoption", stopped)
        with pytest.raises(KeyboardInterrupt):
            async with restored.open():
                pass
    async with restored.open() as place:
        said = await place.summary()
        assert "stolen again" in said
        assert "on leave" not in said, "acts of before the backup were looked at"
        assert "NOT KNOWN" not in said
        assert place.said.get("seal") is None


@pytest.mark.parametrize("how", ["gone", "damaged"])
async def test_without_the_old_log_nobody_knows_and_that_is_said(restored, how):
    (old,) = restored.state.glob("audit-*")
    if how == "gone":
        shutil.rmtree(old)
    else:
        (bundle,) = old.glob("tile/entries/*.p/*")
        bundle.write_bytes(bundle.read_bytes().replace(b"stolen again", b"stolen a-ain"))
    async with restored.open() as place:
        said = await place.summary()
        assert ("NOBODY KNOWS" if how == "gone" else "NOT ALL IS KNOWN") in said
        assert ("NOBODY KNOWS" if how == "gone" else "NOT ALL IS KNOWN") in place.said["log"]
        assert place.office.shut_out.is_revoked("tax") == (how == "damaged")
        assert not place.office.shut_out.is_revoked("made"), "shut out for a list that nobody signed"
        assert place.office.document().toml == POLICY


async def test_callers_are_not_told_who_was_shut_out(restored):
    async with restored.open() as place:
        told = place.store.barred()
        assert "audit adopt" in told.text
        assert "shut" not in told.text


def meddle(place, change) -> None:
    name = PREFIX + "policy"
    with apsw.Connection(str(place.state / FILE)) as db:
        kept = policy_kept.decode(
            bytes(unseal(0, db.execute("SELECT data FROM setting WHERE name=?", (name,)).get))
        )
        data = seal(0, policy_kept.encode(change(kept)))
        db.execute("UPDATE setting SET data=? WHERE name=?", (data, name))


def lax(kept):
    return policy_kept.Kept("two_person = false\n" + POLICY, kept.at)


@pytest.mark.parametrize("unsealed", ["", "as if it were of an earlier version", "and emptied"])
async def test_a_policy_that_somebody_wrote_into_the_database_signs_nothing(place, unsealed):
    async with place.open():
        assert not place.storage.halted()
    async with place.open():
        assert place.said.get("seal") is None
        assert place.store.barred() is None
    meddle(place, lax)
    if unsealed:
        (place.state / MARK).unlink()
        with apsw.Connection(str(place.state / FILE)) as db:
            db.execute("DELETE FROM setting WHERE name='records_seal'")
            if unsealed == "and emptied":
                db.execute("DELETE FROM setting WHERE name GLOB ?", (PREFIX + "*",))
    for _ in range(2):
        async with place.open():
            told = "they have no seal" if unsealed else "changed, added or removed"
            assert told in place.said["seal"]
            assert "segeld restore" in place.said["seal"]
            assert place.store.barred().reason is Reason.STORAGE_UNAVAILABLE
            assert place.storage.halted()


async def test_a_backup_that_somebody_changed_is_said_to_who_adopts_it(place):
    async with place.open():
        pass
    meddle(place, lax)
    await asyncio.to_thread(back_up, place.state / FILE, place.backup)
    await place.restore()
    async with place.open():
        assert "WHETHER THE BACKUP IS WHAT THE DAEMON WROTE IS NOT KNOWN" in await place.summary()
        assert "changed, added or removed" in await place.summary()
        assert "NOT KNOWN" in place.said["log"]
        assert place.said.get("seal") is None, "it is for two officers now"


async def test_a_sound_backup_is_not_doubted_at_a_second_restore_either(restored):
    async with restored.open() as place:
        assert "NOT KNOWN" not in await place.summary()
    await restored.restore()
    async with restored.open() as place:
        said = await place.summary()
        assert "NOT KNOWN" not in said
        assert "stolen again" in said
        assert place.office.shut_out.is_revoked("tax")
    key = restored.state / "audit.key"
    lines = key.read_text().splitlines(keepends=True)
    key.write_text("".join(line for line in lines if not line.startswith("records-of ")))
    await restored.restore()
    async with restored.open() as place:
        assert "NOT KNOWN" in await place.summary()
