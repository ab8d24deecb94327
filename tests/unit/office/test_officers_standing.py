"""Who was taken out of the policy, or shut out, is not who they were when they are let in again."""

import pytest
from office_fakes import FakeRecords

from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role
from segeld.office.act_policy import ApplyingPolicy, LettingIn
from segeld.office.actions import ApplyPolicy, UnrevokeCaller
from segeld.office.change_desk import ChangeDesk
from segeld.office.changes import ChangeState, Person
from segeld.office.outdated import outdated
from segeld.office.policy_desk import PolicyDesk
from segeld.office.revocations import REMEMBERED

WAYAN, MADE = Person("wayan", "email:wayan", b"w" * 32), Person("made", "email:made", b"m" * 32)
SITI = Principal("siti", Role.OFFICER, "email:siti")
NAMES = ("siti", "wayan", "made")
CALLER = '[[callers]]\nname = "one"\nsans = ["dns:one", "dns:one.local"]\n'
FINGERPRINT = f"sha256-{MADE.fingerprint.hex()}"


def toml(*officers: str, more: str = CALLER, sans: str = "") -> str:
    people = [f'[[officers]]\nname = "{name}"\nsans = ["email:{sans or name}"]\n' for name in officers[:1]]
    people += [f'[[officers]]\nname = "{name}"\nsans = ["email:{name}"]\n' for name in officers[1:]]
    return more + "".join(people)


class Office:
    def __init__(self, file) -> None:
        self.file, self.records, self.now = file, FakeRecords(), 1_000_000.0

    async def start(self) -> None:
        self.desk = PolicyDesk(self.file, clock=lambda: self.now)
        await self.desk.load(self.records)
        await self.desk.begin()
        self.changes = ChangeDesk(
            self.records,
            {ApplyPolicy: ApplyingPolicy(self.desk), UnrevokeCaller: LettingIn(self.desk)},
            two_person=self.desk.two_person,
            standing=lambda who: self.desk.standing(who.name, who.identity, who.fingerprint),
            outdated=lambda action: outdated(self.desk, None, action),
            clock=lambda: self.now,
        )
        await self.changes.start()

    async def apply(self, text: str) -> None:
        kept = self.desk.document()
        await self.desk.apply(text, kept.hash, kept.number, "siti", "wayan")

    async def let_in(self, subject: str) -> None:
        await self.desk.shut_out.unrevoke(
            subject, self.desk.shut_out.require_revoked(subject).stamp, "siti", "wayan"
        )


@pytest.fixture
async def office(tmp_path) -> Office:
    file = tmp_path / "policy.toml"
    file.write_text(toml(*NAMES))
    office = Office(file)
    await office.start()
    return office


@pytest.fixture
async def approved(office) -> int:
    """A change of wayan that made has approved."""
    await office.desk.shut_out.revoke("one", SITI, "stolen")
    change = await office.changes.propose(UnrevokeCaller("one"), WAYAN)
    await office.changes.approve(change.number, MADE, change.hash)
    return change.number


async def out_of_the_policy(office) -> None:
    await office.apply(toml("siti", "wayan"))
    await office.apply(toml(*NAMES))


async def another_role_for_a_while(office) -> None:
    auditor = '[[auditors]]\nname = "made"\nsans = ["email:made"]\n'
    await office.apply(toml("siti", "wayan", more=CALLER + auditor))
    await office.apply(toml(*NAMES))


async def another_san_for_a_while(office) -> None:
    await office.apply(toml("made", "siti", "wayan", sans="new"))
    await office.apply(toml(*NAMES))


async def certificate_revoked(office) -> None:
    await office.desk.shut_out.revoke(FINGERPRINT, SITI, "lost")
    await office.let_in(FINGERPRINT)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    "gone", [out_of_the_policy, another_role_for_a_while, another_san_for_a_while, certificate_revoked]
)
async def test_an_approval_that_has_lapsed_does_not_come_back(office, approved, gone, restart) -> None:
    assert office.changes.change(approved).state is ChangeState.APPROVED
    await gone(office)
    if restart:
        await office.start()
    assert office.desk.standing(MADE.name, MADE.identity, MADE.fingerprint)  # an officer again
    seen = office.changes.change(approved)
    assert (seen.state, seen.decided) == (ChangeState.WAITING, None)
    with pytest.raises(Fault) as caught:
        await office.changes.run_change(approved, WAYAN, {})
    assert caught.value.reason is Reason.CHANGE_STATE
    assert office.desk.shut_out.is_revoked("one")
    await office.changes.approve(approved, MADE, seen.hash)
    assert (await office.changes.run_change(approved, WAYAN, {})).state is ChangeState.DONE


@pytest.mark.parametrize("restart", [False, True])
async def test_what_is_decided_of_others_leaves_an_approval_as_it_is(office, approved, restart) -> None:
    await office.apply(toml(*NAMES, more="# a word\n" + CALLER))
    await office.desk.shut_out.revoke(f"sha256-{'9' * 64}", SITI, "lost")
    await office.let_in(f"sha256-{'9' * 64}")
    if restart:
        await office.start()
    assert office.changes.change(approved).state is ChangeState.APPROVED


async def test_a_certificate_that_was_let_in_long_ago_is_forgotten(office) -> None:
    await certificate_revoked(office)
    assert not office.desk.shut_out.is_revoked("made", MADE.fingerprint)
    office.now += REMEMBERED + 1
    await office.desk.shut_out.revoke("one", SITI, "stolen")
    await office.let_in("one")
    assert [name for name in office.records.kept if name.startswith("revoked/")] == []
    await office.start()
    assert not office.desk.shut_out.is_revoked("made", MADE.fingerprint)


async def test_what_a_revoked_caller_was_known_by_stays_out_under_another_name(office) -> None:
    await office.desk.shut_out.revoke("one", SITI, "stolen")
    await office.apply(toml(*NAMES, more='[[callers]]\nname = "two"\nsans = ["dns:one", "dns:two"]\n'))
    await office.start()
    stolen = office.desk.current().principal(["dns:one"])
    assert stolen.name == "two"
    assert office.desk.shut_out.refusal(stolen, bytes(32)).reason is Reason.CALLER_REVOKED
    beside = office.desk.current().principal(["dns:one.local", "dns:two"])
    assert office.desk.shut_out.refusal(beside, bytes(32), ["dns:one.local", "dns:two"]) is not None
    other = office.desk.current().principal(["dns:two"])
    assert office.desk.shut_out.refusal(other, bytes(32), ["dns:two"]) is None
    await office.let_in("one")
    assert office.desk.shut_out.refusal(stolen, bytes(32)) is None


async def test_who_was_shut_out_again_is_not_let_in_by_what_was_agreed_before(office) -> None:
    await office.desk.shut_out.revoke("one", SITI, "stolen")
    changes = [await office.changes.propose(UnrevokeCaller("one"), WAYAN) for _ in range(2)]
    for change in changes:
        await office.changes.approve(change.number, MADE, change.hash)
    await office.changes.run_change(1, WAYAN, {})
    assert "is not shut out any more" in office.changes.next_step(office.changes.change(2))
    office.now += 60
    await office.desk.shut_out.revoke("one", SITI, "stolen again")
    with pytest.raises(Fault, match="was shut out again since, by siti: stolen again") as caught:
        await office.changes.run_change(2, WAYAN, {})
    assert caught.value.reason is Reason.CHANGE_STATE
    assert office.desk.shut_out.is_revoked("one")


async def test_a_revocation_that_cannot_be_recorded_says_that_nobody_is_shut_out(office) -> None:
    """The disk is full: nothing half-done, and no officer who thinks that it was done."""
    told = []
    office.desk.changed.append(lambda: told.append(1))
    office.records.broken = True
    for subject in ("one", FINGERPRINT):
        with pytest.raises(Fault, match=f"{subject} is NOT shut out") as caught:
            await office.desk.shut_out.revoke(subject, SITI, "stolen")
        assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
    assert not office.desk.shut_out.is_revoked("one", MADE.fingerprint)
    office.records.broken = False
    await office.desk.shut_out.revoke("one", SITI, "stolen")
    office.records.broken = True
    with pytest.raises(Fault):
        await office.let_in("one")
    assert office.desk.shut_out.is_revoked("one")
    assert told == [1]
    await office.start()
    assert office.desk.shut_out.is_revoked("one")
