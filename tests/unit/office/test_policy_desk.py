"""The policy in force: taken from a file once, changed as a whole, and never unrecorded."""

import asyncio
import os
import threading

import pytest
from office_fakes import FakeRecords

from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal, Role
from segeld.office import policy_compared
from segeld.office.act_policy import ApplyingPolicy, LettingIn
from segeld.office.actions import ApplyPolicy, UnrevokeCaller
from segeld.office.policy_compared import FileCompared
from segeld.office.policy_desk import PolicyDesk
from segeld.office.policy_kept import Kept
from segeld.policy import PolicyError, parse

OFFICERS = """
[[officers]]
name = "siti"
sans = ["email:siti"]
[[officers]]
name = "rahmat"
sans = ["email:rahmat"]
"""
CALLER = '[[callers]]\nname = "one"\nsans = ["dns:one"]\nweight = 2\n'
POLICY = CALLER + OFFICERS
NARROWER = POLICY.replace("weight = 2", "weight = 1")
WIDER = POLICY.replace("weight = 2", "weight = 3")
SITI = Principal("siti", Role.OFFICER, "email:siti")
PRINT = bytes(range(32))


@pytest.fixture
def records():
    return FakeRecords()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


async def opened(file, records, **how) -> PolicyDesk:
    desk = PolicyDesk(file, clock=lambda: 1000.0, **how)
    await desk.load(records)
    await desk.begin()
    return desk


async def apply(desk, toml, *who):
    """On what is in force."""
    kept = desk.document()
    await desk.apply(toml, kept.hash, kept.number, *who)


@pytest.fixture
async def desk(file, records):
    return await opened(file, records)


async def test_the_file_is_taken_once_and_then_only_compared(file, records, desk):
    assert desk.current().weight("one") == 2
    assert desk.warnings() == ()
    assert records.acts("policy") == [("policy applied", "")]
    file.write_text(WIDER)
    again = await opened(file, records)
    assert again.current().weight("one") == 2
    (warning,) = again.warnings()
    assert f"segelctl policy apply {file}" in warning
    file.unlink()
    assert (await opened(file, records)).warnings() == ()
    assert len(records.acts("policy")) == 1


async def test_a_file_that_is_edited_while_the_daemon_runs_is_noticed_and_so_is_its_mending(file, desk):
    file.write_text(WIDER)
    await desk.compared.look()
    (warning,) = desk.warnings()
    assert f"segelctl policy check {file}" in warning
    file.write_text(POLICY)
    await desk.compared.look()
    assert desk.warnings() == ()
    file.write_text(WIDER)
    await apply(desk, WIDER, "siti", "rahmat")
    assert desk.warnings() == ()


async def test_each_change_of_the_file_is_in_the_log_once(file, desk, monkeypatch):
    said, looked = [], asyncio.Semaphore(0)
    monkeypatch.setattr(policy_compared._log, "warning", lambda _, why: said.append(why))
    look = desk.compared.look

    async def counted():
        await look()
        looked.release()

    async def looks(number):
        async with asyncio.timeout(10):
            for _ in range(number):
                await looked.acquire()

    monkeypatch.setattr(desk.compared, "look", counted)
    running = asyncio.create_task(desk.compared.run(0.001))
    try:
        for number, text in enumerate((POLICY, WIDER, NARROWER), start=0):
            file.write_text(text)
            await looks(5)
            assert len(said) == number
        file.write_text(POLICY)
        await looks(5)
        file.write_text(NARROWER)
        await looks(5)
        assert len(said) == 3
    finally:
        running.cancel()


@pytest.mark.parametrize("what", ["folder", "pipe", "nothing"])
async def test_what_is_no_file_holds_nobody_up(file, desk, what):
    file.unlink()
    {"folder": file.mkdir, "pipe": lambda: os.mkfifo(file), "nothing": lambda: None}[what]()
    await desk.compared.look()
    assert desk.warnings() == ()


async def test_a_file_system_that_does_not_answer_leaves_what_was_known(file, monkeypatch):
    go_on, reads = threading.Event(), []

    def content(path):
        reads.append(path)
        go_on.wait(10)
        return b"another"

    monkeypatch.setattr(policy_compared, "_content", content)
    compared = FileCompared(file, lambda: Kept(POLICY, 0.0), patience=0.001)
    try:
        await compared.look()
        await compared.look()
        assert (compared.difference, len(reads)) == ("", 1)
    finally:
        go_on.set()
    slow = FileCompared(file, lambda: Kept(POLICY, 0.0))
    await slow.look()
    assert slow.difference


async def test_nothing_is_written_before_acts_can_be_recorded(file, records):
    await PolicyDesk(file).load(records)
    assert records.kept == {}


async def test_a_throw_away_daemon_follows_its_file(file, records, desk):
    file.write_text(WIDER)
    again = await opened(file, records, follows_file=True)
    assert again.current().weight("one") == 3
    assert again.warnings() == ()
    assert len(records.acts("policy")) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CALLER, "names nobody"),
        (CALLER + OFFICERS[: OFFICERS.rindex("[[officers]]")], "names siti alone"),
        (POLICY + "surprise = 1", "surprise"),
        ("[", "not TOML"),
    ],
)
async def test_the_first_start_is_refused_with_what_to_do(file, records, text, says):
    file.write_text(text)
    with pytest.raises(PolicyError, match=says):
        await opened(file, records)
    assert records.kept == {}


async def test_without_a_file_there_is_no_first_start(tmp_path, records):
    with pytest.raises(PolicyError, match="cannot be read"):
        await opened(tmp_path / "missing", records)


async def test_one_officer_is_enough_if_the_policy_says_so_and_it_is_shown_for_ever(file, records):
    file.write_text("two_person = false\n" + CALLER)
    desk = await opened(file, records)
    assert not desk.two_person()
    assert "two_person = false" in desk.warnings()[0]
    assert records.leaves[0].facts["two_person"] == "false"


async def test_a_record_that_cannot_be_understood_is_no_reason_to_take_the_file(
    file, records, desk, monkeypatch
):
    records.kept["policy"] = records.kept["policy"].replace(b"weight", b"wealth")
    with pytest.raises(OSError, match="not understood by this version"):
        await opened(file, records)


async def test_a_policy_is_put_in_force_with_its_leaf_and_told(records, desk):
    told = []
    desk.changed.append(lambda: told.append(desk.current().weight("one")))
    base = desk.document().hash
    await desk.apply(WIDER, base, 1, "siti", "rahmat")
    assert told == [3]
    assert (desk.document().requested_by, desk.document().approved_by) == ("siti", "rahmat")
    leaf = records.leaves[-1]
    assert (leaf.what, leaf.who, leaf.facts["approved_by"]) == ("policy applied", "siti", "rahmat")
    assert leaf.facts["before"] == base.hex()


async def test_a_policy_made_from_another_one_is_refused(desk):
    base = desk.document().hash
    await desk.apply(NARROWER, base, 1, "siti")
    with pytest.raises(Fault, match="siti put another policy in force") as caught:
        await desk.apply(POLICY, base, 1, "siti", "rahmat")
    assert caught.value.reason is Reason.CHANGE_STATE
    assert "segelctl policy show --output" in caught.value.text
    with pytest.raises(Fault, match="cannot be put in force"):
        await desk.apply(POLICY, b"", 0, "siti", "rahmat")  # as older versions kept it
    await apply(desk, POLICY, "siti", "rahmat")
    with pytest.raises(Fault):  # the same text, but another was in force in between
        await desk.apply(WIDER, base, 1, "siti", "rahmat")


async def test_a_policy_with_a_fault_is_refused_as_a_whole(records, desk):
    with pytest.raises(Fault) as caught:
        await apply(desk, POLICY + "one = 1\ntwo = 2\n", "siti", "rahmat")
    assert caught.value.reason is Reason.POLICY_INVALID
    assert "one" in caught.value.text
    assert "two" in caught.value.text
    assert desk.current().weight("one") == 2
    check = await desk.check(OFFICERS[: OFFICERS.rindex("[[officers]]")])
    assert "siti alone" in check.problems[0]


async def test_what_gives_more_than_what_is_in_force_now_needs_a_second_person_whatever_it_was_before(desk):
    await apply(desk, NARROWER, "siti")
    with pytest.raises(Fault) as caught:
        await apply(desk, POLICY, "siti")  # it changed nothing when it was asked for
    assert caught.value.reason is Reason.SECOND_PERSON_REQUIRED
    await apply(desk, POLICY, "siti", "rahmat")


async def test_what_cannot_be_recorded_does_not_happen(records, desk):
    told = []
    desk.changed.append(lambda: told.append(1))
    records.broken = True
    for act in (
        apply(desk, NARROWER, "siti"),
        desk.shut_out.revoke("one", SITI, "stolen"),
    ):
        with pytest.raises(Fault):
            await act
    assert desk.current().weight("one") == 2
    assert not desk.shut_out.is_revoked("one")
    assert told == []


async def test_a_caller_is_shut_out_across_restarts_until_two_let_it_in(file, records, desk):
    told = []
    desk.changed.append(lambda: told.append(desk.shut_out.is_revoked("one")))
    who = desk.current().principal(["dns:one"])
    assert desk.shut_out.refusal(who, PRINT) is None
    await desk.shut_out.revoke("one", SITI, "stolen")
    assert told == [True]
    again = await opened(file, records)
    assert again.shut_out.refusal(who, PRINT).reason is Reason.CALLER_REVOKED
    letting_in = LettingIn(again)
    described = await letting_in.describe(UnrevokeCaller("one"))
    assert described.needs_approval
    await letting_in.run(described.action, "siti", {}, "rahmat")
    assert (await opened(file, records)).shut_out.refusal(who, PRINT) is None
    assert records.acts("one") == [("caller revoked", "siti"), ("caller let in again", "siti")]


async def test_one_certificate_is_shut_out_and_the_caller_is_not(file, records, desk):
    who = desk.current().principal(["dns:one"])
    await desk.shut_out.revoke(f"sha256-{PRINT.hex()}", SITI, "stolen")
    again = await opened(file, records)
    assert again.shut_out.refusal(who, PRINT) is not None
    assert again.shut_out.refusal(who, bytes(32)) is None
    assert not again.shut_out.is_revoked("one")


@pytest.mark.parametrize(
    ("subject", "why", "says"),
    [
        ("nobody", "stolen", "Nobody in the policy"),
        ("rahmat", "stolen", "is an officer"),
        ("siti", "stolen", "yourself"),
        (f"sha256-{PRINT.hex()}", "stolen", "yourself"),
        ("one", " ", "1 to 500 printable characters"),
        ("one", "x" * 501, "1 to 500 printable characters"),
    ],
)
async def test_who_cannot_be_shut_out_so(records, desk, subject, why, says):
    with pytest.raises(Fault, match=says):
        await desk.shut_out.revoke(subject, SITI, why, PRINT)
    assert len(records.leaves) == 1


async def test_nobody_is_let_in_who_was_not_shut_out(desk):
    with pytest.raises(Fault) as caught:
        await LettingIn(desk).describe(UnrevokeCaller("one"))
    assert caught.value.reason is Reason.CALLER_NOT_FOUND


async def test_jobs_are_condemned_only_if_the_policy_says_so(file, records, desk):
    await desk.shut_out.revoke("one", SITI, "stolen")
    assert list(desk.condemned()) == []
    await apply(desk, POLICY.replace("weight = 2", 'weight = 2\non_revoke = "cancel"'), "siti")
    assert list(desk.condemned()) == ["one"]


async def test_a_description_shows_what_gives_more_first(desk):
    applying = ApplyingPolicy(desk)
    described = await applying.describe(ApplyPolicy(WIDER.replace("siti", "wayan"), desk.document().hash))
    assert described.needs_approval
    assert described.binding
    assert [line[0] for line in described.summary[1:]] == ["+", "+", "-"]
    same = await applying.describe(ApplyPolicy(POLICY + "# a word\n"))
    assert not same.needs_approval
    assert "the same" in same.summary[0]
    with pytest.raises(Fault):
        await applying.describe(ApplyPolicy(WIDER, bytes(32)))
    with pytest.raises(Fault):
        await applying.describe(ApplyPolicy("x = 1"))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[", "not TOML"),
        ("x = 1", "x: is not known"),
        ("weight = inf", "weight"),
        ("sans = 07:32:00", "sans"),
    ],
)
async def test_a_large_policy_has_its_faults_named_as_a_small_one_has(desk, more, says):
    many = "".join(f'[[callers]]\nname = "c{n}"\nsans = ["dns:c{n}"]\n' for n in range(500))
    large = await desk.check(POLICY + many + f'[[auditors]]\nname = "z"\n{more}\n')
    assert any(says in problem for problem in large.problems), large.problems
    after = await desk.check(POLICY + many)
    assert after.problems == ()
    assert after.policy == parse(POLICY + many)[0]


async def test_a_policy_of_ten_thousand_lines_is_described_in_bounds(desk):
    many = "".join(f'[[callers]]\nname = "c{n}"\nsans = ["dns:c{n}"]\n' for n in range(1500))
    described = await ApplyingPolicy(desk).describe(ApplyPolicy(POLICY + many))
    assert len(described.summary) == 1002
    assert described.summary[-1] == "… and 500 more"
