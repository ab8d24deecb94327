"""An alias is edited; everything else in the policy stays, comments among it. To add needs another officer, to take out does
not.
"""

import dataclasses
import difflib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from office_fakes import FakeRecords

from segel.cli.failures import UsageError
from segel.models_changes import ApplyPolicy
from segeld.ctl.key_alias import with_alias
from segeld.office import actions
from segeld.office.act_policy import ApplyingPolicy
from segeld.office.policy_desk import PolicyDesk

KEYS = [f"keys/sha256-{number:064x}" for number in range(6)]
A, B, C, *_ = KEYS
POLICY = f"""\
# ours
two_person = true

[aliases]
seal = ["{A}"]  # since 2025
sticks = [
    # three of them
    "{A}",  # in the safe
    "{B}"   # at the desk
]
spare = ["{C.removeprefix("keys/")}"]

[[callers]]
name = "tax"  # they pay
sans = ["uri:tax"]
[[callers.grants]]
keys = ["keys/seal"]

[[officers]]
name = "wayan"  # the first
sans = ["uri:x"]

[[officers]]
name = "made"
sans = ["uri:y"]
"""


def aliases(toml: str) -> dict:
    return tomllib.loads(toml).get("aliases", {})


def changed(toml: str) -> list[str]:
    """The lines that are others than before."""
    found = difflib.ndiff(POLICY.splitlines(), toml.splitlines())
    return [line for line in found if line[0] in "+-"]


def test_a_key_is_added_and_all_else_stays():
    edited = with_alias(POLICY, "seal", [B], [])
    assert aliases(edited)["seal"] == [A, B]
    assert changed(edited) == [f'- seal = ["{A}"]  # since 2025', f'+ seal = ["{A}", "{B}"]  # since 2025']


def test_what_is_said_of_each_key_stays_with_it():
    assert changed(with_alias(POLICY, "sticks", [], [A])) == [f'-     "{A}",  # in the safe']
    edited = with_alias(POLICY, "sticks", [C], [])
    assert aliases(edited)["sticks"] == [A, B, C]
    assert changed(edited) == [
        f'-     "{B}"   # at the desk',
        f'+     "{B}",   # at the desk',
        f'+     "{C}"',
    ]


def test_rotation_in_one_step():
    assert aliases(with_alias(POLICY, "seal", [B], [A]))["seal"] == [B]


def test_an_alias_is_made_and_goes_with_its_last_key():
    assert aliases(with_alias("two_person = false\n", "new", [A], [])) == {"new": [A]}
    edited = with_alias(POLICY, "spare", [], [C])
    assert changed(edited) == [f'- spare = ["{C.removeprefix("keys/")}"]']


@pytest.mark.parametrize("grant", ['keys = ["keys/spare"]', 'keys = ["spare"]'])
def test_the_last_key_of_an_alias_that_is_granted_stays(grant):
    granted = POLICY.replace('keys = ["keys/seal"]', grant)
    with pytest.raises(
        UsageError, match=r"keys/spare would name no key, and the policy grants it; --add another"
    ):
        with_alias(granted, "spare", [], [C])
    with_alias(granted, "spare", [A], [C])


def test_the_last_key_of_an_alias_with_options_of_its_own_stays():
    with pytest.raises(UsageError, match="would name no key"):
        with_alias(POLICY + "[keys.spare]\nbulk = true\n", "spare", [], [C])


@pytest.mark.parametrize(
    ("word", "add", "remove", "why"),
    [
        ("seal", [A], [], f"keys/seal names {A} already"),
        ("seal", [], [B], f"keys/seal does not name {B}; it names {A}"),
        ("seal", [B, B], [], f"keys/seal names {B} already"),
        ("nothing", [], [A], "the policy has no alias keys/nothing; see: segelctl key list"),
    ],
)
def test_what_cannot_be_is_refused_and_says_what_is(word, add, remove, why):
    with pytest.raises(UsageError) as refused:
        with_alias(POLICY, word, add, remove)
    assert str(refused.value) == why


_COMMENTS = st.sampled_from(["", "  # one", " #two", "\n    # three"])


@st.composite
def _written(draw) -> tuple[str, list[str]]:
    """An alias as people write it, and its keys."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
    lines = [
        f'    "{key}"{"," if number < len(keys) or draw(st.booleans()) else ""}{draw(_COMMENTS)}'
        for number, key in enumerate(keys, start=1)
    ]
    text = "\n".join(lines)
    return f"# before\n[aliases]\nx = [  # the first\n{text}\n]  # end\ny = []\n# after\n[[officers]]\n", keys


@given(_written(), st.data())
def test_however_it_is_written_the_keys_are_what_was_asked_for(written, data):
    toml, keys = written
    removing = data.draw(st.lists(st.sampled_from(keys), unique=True))
    adding = data.draw(st.lists(st.sampled_from(sorted({*KEYS} - {*keys}) or [""]), unique=True))
    adding = [each for each in adding if each]
    edited = with_alias(toml, "x", adding, removing)
    expected = [key for key in keys if key not in removing] + adding
    assert aliases(edited).get("x", []) == expected
    assert aliases(edited)["y"] == []
    kept = [
        "# before",
        "y = []\n# after\n[[officers]]\n",
        *(["]  # end"] if expected == keys + adding else []),
    ]
    assert all(each in edited for each in kept)


@pytest.fixture
async def applying(tmp_path) -> ApplyingPolicy:
    """The daemon's side."""
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    desk = PolicyDesk(file)
    await desk.load(FakeRecords())
    await desk.begin()
    return ApplyingPolicy(desk)


@pytest.mark.parametrize(
    ("add", "remove", "approval", "summary"),
    [
        ([B], [], True, f"+ tax may sign with {B}"),
        ([B], [A], True, f"- tax may not sign with {A}"),
        ([], [B], False, f"- keys/seal does not stand for {B} any more"),
    ],
    ids=["add", "rotate", "remove"],
)
async def test_to_add_needs_another_officer_and_to_take_out_does_not(
    applying, add, remove, approval, summary
):
    if not add:  # first the state in which something can be taken out
        kept = applying._desk.document()
        await applying._desk.apply(
            with_alias(POLICY, "seal", [B], []), kept.hash, kept.number, "made", "wayan"
        )
    toml = applying._desk.document().toml
    described = await applying.describe(actions.ApplyPolicy(with_alias(toml, "seal", add, remove)))
    assert described.needs_approval is approval
    assert any(line.startswith(summary) for line in described.summary)


@pytest.fixture
def in_force(officer):
    """The fake daemon's policy, and a key that a token holds."""
    officer.policy.in_force = dataclasses.replace(officer.policy.in_force, toml=POLICY)
    return officer


@pytest.fixture
def alone(in_force, monkeypatch):
    """What is proposed needs nobody else, and no PIN."""
    propose = in_force.changes.propose

    async def without_secrets(action, *, dry_run=False):
        return dataclasses.replace(await propose(action, dry_run=dry_run), secrets=())

    monkeypatch.setattr(in_force.changes, "propose", without_secrets)
    in_force.changes.alone = True
    return in_force


def proposed(officer) -> list[tuple[str, ApplyPolicy]]:
    return officer.changes.calls


def test_the_command_asks_for_the_edited_policy_on_what_is_in_force(run, in_force):
    answer = run("key", "alias", "seal", "--add", B.removeprefix("keys/"), "--yes")
    assert answer.exit_code == 0, answer.stderr
    action = ApplyPolicy(with_alias(POLICY, "seal", [B], []), in_force.policy.in_force.hash)
    assert proposed(in_force) == [("dry run", action), ("propose", action)]
    assert "waits for an officer other than" in answer.stdout


def test_what_one_officer_may_is_done_at_once(run, alone):
    answer = run("key", "alias", "keys/sticks", "--remove", A, "--yes")
    assert answer.exit_code == 0, answer.stderr
    assert [what for what, *_ in alone.changes.calls] == ["dry run", "propose", "run"]
    assert alone.changes.there["changes/7"].state == "done"


def test_a_key_that_no_token_holds_is_said(run, in_force):
    """It may be mistyped; it may be in a drawer."""
    answer = run("key", "alias", "seal", "--add", B, "--dry-run")
    assert answer.exit_code == 0
    assert f"no token that was seen holds {B}" in answer.stderr
    assert [what for what, *_ in in_force.changes.calls] == ["dry run"]


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["seal"], 2, "give --add or --remove"),
        (
            ["seal", "--add", "unheard-of"],
            4,
            "no token that was seen holds keys/unheard-of; see: segelctl key list",
        ),
        (["unheard-of", "--remove", A], 2, "the policy has no alias keys/unheard-of"),
        (["seal", "--remove", A], 2, "would name no key, and the policy grants it"),
    ],
)
def test_a_command_that_cannot_be_proposes_nothing(run, in_force, options, code, why):
    answer = run("key", "alias", *options)
    assert answer.exit_code == code
    assert why in answer.stderr
    assert in_force.changes.calls == []
