"""A change as a value: its hash, its states, who may do what with it."""

import itertools
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segel.v1 import changes_pb2
from segeld.model.faults import Fault, Reason
from segeld.office import changes
from segeld.office.actions import (
    Action,
    AdoptLog,
    ApplyPolicy,
    DestroyKey,
    EnableKey,
    InitializeToken,
    UnblockPin,
    UnrevokeCaller,
    action_hash,
    kind,
)
from segeld.office.change_words import next_step
from segeld.office.changes import ENDED, MOVES, Change, ChangeState, Person

DOCUMENT = Path(__file__).parents[3] / "docs" / "changes.md"
TEXT = st.text(max_size=20)
ACTIONS = st.one_of(
    st.builds(InitializeToken, TEXT, TEXT, TEXT),
    st.builds(UnblockPin, TEXT),
    st.builds(DestroyKey, TEXT),
    st.builds(EnableKey, TEXT),
    st.builds(ApplyPolicy, TEXT, st.binary(max_size=32)),
    st.builds(UnrevokeCaller, TEXT),
    st.builds(AdoptLog),
)
WAYAN, MADE = Person("wayan", "uri:wayan"), Person("made", "uri:made")


def ask(action: Action = AdoptLog(), *, needs_approval: bool = True) -> Change:  # noqa: B008 - it is frozen
    return changes.asked(7, action, ("What.",), WAYAN, needs_approval=needs_approval, at=100.0)


@given(ACTIONS, ACTIONS)
def test_equal_actions_and_no_others_have_the_same_hash(one, other):
    assert len(action_hash(one)) == 32
    assert (action_hash(one) == action_hash(other)) == (one == other)


@given(ACTIONS)
def test_an_action_is_kept_as_it_was(action):
    change = ask(action)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Change)
    assert again == change
    assert again.hash == change.hash


def test_a_hash_is_the_same_for_ever():
    """What was approved before an upgrade is approved after it."""
    assert action_hash(UnblockPin("tokens/seal")).hex() == (
        "d634ba0858138e817e53ab8db7038cde0dfed2c5f2a079f1989c62c1999aa24d"
    )


def test_actions_are_those_of_the_wire():
    wire = {field.name for field in changes_pb2.Action.DESCRIPTOR.oneofs_by_name["action"].fields}
    ours = {str(each.__struct_config__.tag): each for each in Action.__args__}
    assert set(ours) == wire
    for name, each in ours.items():
        message = changes_pb2.Action.DESCRIPTOR.fields_by_name[name].message_type
        assert list(each.__struct_fields__) == [field.name for field in message.fields], name
    assert kind(UnblockPin("tokens/seal")) == "unblock_pin"


def test_states_are_those_of_the_wire():
    wire = {value.name.removeprefix("STATE_") for value in changes_pb2.Change.State.DESCRIPTOR.values} - {
        "UNSPECIFIED"
    }
    assert wire == set(ChangeState) == set(MOVES)


def test_the_drawing_in_the_documentation_is_the_table():
    (drawn,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    states = [state.lower() for state in ChangeState]
    wanted = {("[*]", "waiting"), ("[*]", "approved")}
    wanted |= {(before.lower(), after.lower()) for before, moves in MOVES.items() for after in moves}
    wanted |= {(state.lower(), "[*]") for state in ENDED}
    assert {tuple(line.strip().split(" --> ")) for line in drawn.splitlines()} == wanted
    assert re.findall(r"^\| `(\w+)` \| (?:It|An|Nobody)", DOCUMENT.read_text(), re.MULTILINE) == states


def test_from_every_state_that_has_not_ended_an_end_can_be_reached():
    for state in set(ChangeState) - ENDED:
        reached = {state}
        for _ in ChangeState:
            reached |= set(itertools.chain.from_iterable(MOVES[each] for each in reached))
        assert reached >= ENDED - {state}


@pytest.mark.parametrize(
    "who",
    [WAYAN, Person("wayan", "email:wayan@example.org"), Person("other-name", "uri:wayan")],
    ids=["the same", "another certificate of theirs", "their certificate under another name"],
)
def test_whoever_asked_is_no_second_person(who):
    change = ask()
    with pytest.raises(Fault) as caught:
        changes.approved(change, who, change.hash, at=101.0)
    assert caught.value.reason is Reason.SECOND_PERSON_REQUIRED
    assert "segelctl change approve 7" in caught.value.text


def test_an_approval_is_for_what_was_shown():
    change = ask(ApplyPolicy("weight = 1"))
    with pytest.raises(Fault) as caught:
        changes.approved(change, MADE, action_hash(ApplyPolicy("weight = 2")), at=101.0)
    assert (caught.value.reason, caught.value.field) == (Reason.CHANGE_STATE, "action_hash")
    assert changes.approved(change, MADE, change.hash, at=101.0).state is ChangeState.APPROVED


def test_it_expires_after_72_hours_approved_or_not():
    for change in (ask(), ask(needs_approval=False)):
        assert changes.expired(change, 100.0 + 72 * 3600 - 1) is None
        over = changes.expired(change, 100.0 + 72 * 3600)
        assert over is not None
        assert over.state is ChangeState.EXPIRED


def test_what_is_run_or_has_ended_does_not_expire():
    running = changes.begun(ask(needs_approval=False), WAYAN)
    assert changes.expired(running, 1e9) is None
    assert changes.expired(changes.done(running, 101.0), 1e9) is None


def test_it_is_run_by_whoever_asked_alone():
    change = ask(needs_approval=False)
    with pytest.raises(Fault) as caught:
        changes.begun(change, MADE)
    assert caught.value.reason is Reason.SECOND_PERSON_REQUIRED
    assert changes.begun(change, Person("wayan", "email:wayan@example.org")).state is ChangeState.RUNNING


@pytest.mark.parametrize("state", ChangeState)
def test_every_refusal_and_every_state_says_what_to_do(state):
    change = msgspec.structs.replace(ask(), state=state, note="the token is away", ended_at=1.0, decided=MADE)
    assert next_step(change, live=False).endswith((".", "7"))
    for attempt in (
        lambda: changes.begun(change, WAYAN),
        lambda: changes.approved(change, MADE, change.hash, at=2.0),
        lambda: changes.rejected(change, MADE, "", at=2.0, live=False),
    ):
        answer = _of(attempt)
        if isinstance(answer, Change):
            assert answer.state in MOVES[state]
            continue
        assert answer.reason is Reason.CHANGE_STATE
        assert answer.text.startswith("changes/7 ")
        assert answer.text.count(". ") >= 1
        assert "{" not in answer.text


def _of(attempt) -> Change | Fault:
    try:
        return attempt()
    except Fault as fault:
        return fault


def test_one_that_was_left_running_says_so_and_can_only_be_closed():
    left = changes.begun(ask(needs_approval=False), WAYAN)
    assert "may have been run, wholly or in part" in next_step(left, live=False)
    with pytest.raises(Fault):
        changes.begun(left, WAYAN)
    with pytest.raises(Fault):
        changes.approved(left, MADE, left.hash, at=2.0)
    with pytest.raises(Fault, match="is being run now"):
        changes.rejected(left, MADE, "", at=2.0, live=True)
    assert changes.rejected(left, MADE, "", at=2.0, live=False).state is ChangeState.REJECTED
