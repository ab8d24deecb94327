"""`segelctl status`: what signs, what does not, and what it ends with."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from segel import errors
from segel.cli.exit_codes import ExitCode
from segel.models import KeyState, TokenState

A, B = "keys/sha256-" + "ab" * 32, "keys/sha256-" + "cd" * 32
OVER = "Its certificate ended on 2026-11-01 00:00 UTC, and the policy refuses such keys."
BY_WAYAN = {
    "state": KeyState.UNUSABLE,
    "state_reason": "It was disabled by wayan on 2026-11-02 01:02 UTC: replaced.",
    "disable_time": datetime(2026, 11, 2, 1, 2, tzinfo=UTC),
    "disabled_by": "wayan",
    "disable_reason": "replaced",
}
REFUSED = {"state": KeyState.UNUSABLE, "state_reason": OVER}


@pytest.fixture
def keys(officer, new_managed):
    """Puts keys there: each by what is different about it."""

    def put(*each: dict) -> None:
        officer.keys.there = tuple(new_managed(**changes) for changes in each)

    put({})
    return put


@pytest.fixture
def policy(officer):
    def put(toml: str, **changes) -> None:
        officer.policy.in_force = dataclasses.replace(officer.policy.in_force, toml=toml, **changes)

    return put


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([TokenState.ACTIVE], 0),
        ([TokenState.ACTIVE, TokenState.INACTIVE], 5),
        ([TokenState.LOCKED], 5),
        ([TokenState.QUARANTINED], 5),
        ([TokenState.ABSENT], 5),
        ([TokenState.FAILED], 5),
        ([TokenState.ACTIVE, TokenState.RECOVERING], 9),
        ([TokenState.STARTING], 9),
        ([TokenState.STARTING, TokenState.INACTIVE], 5),
        ([], 5),
    ],
)
def test_it_ends_with_what_is_to_be_done(states, code, run, officer, new_token, keys):
    officer.tokens_there = tuple(new_token(name=f"tokens/{n}", state=state) for n, state in enumerate(states))
    answer = run("status")
    assert answer.exit_code == code
    assert len(answer.stdout.splitlines()) == len(states)
    assert "The daemon at unix:/run/segel/officer.sock answers." in answer.stderr
    active = states.count(TokenState.ACTIVE)
    all_of_them = "1 token is" if len(states) == 1 else f"{len(states)} tokens are"
    assert f"{active} of {all_of_them} active, 1 of 1 key can sign." in answer.stderr


def test_without_daemon(run, officer):
    officer.raises = errors.ConnectionFailed(
        "No connection to unix:/run/segel/officer.sock. Nothing listens", reason="X"
    )
    answer = run("status")
    assert answer.exit_code == ExitCode.NOT_CONNECTED
    assert answer.stderr.startswith("error: No connection to unix:/run/segel/officer.sock. ")


def test_it_says_why_nothing_is_signed_although_tokens_can(officer, run, keys):
    officer.trouble_there = "the disk is full"
    answer = run("status")
    assert answer.exit_code == 9
    assert "nothing is signed now: the disk is full" in answer.stderr


def test_a_key_that_cannot_sign_is_named_and_needs_an_officer(run, keys):
    keys({}, {"name": B, "aliases": (), **REFUSED})
    answer = run("status")
    assert answer.exit_code == ExitCode.OFFICER_NEEDED
    assert "1 of 2 keys can sign" in answer.stderr
    assert f"error: seal ({B}): {OVER}" in answer.stderr
    keys(REFUSED)
    assert "nothing is signed now: No key can sign." in run("status").stderr


def test_a_key_that_was_disabled_on_purpose_needs_nobody_while_another_signs(run, keys, policy):
    policy(f'[aliases]\nseal = ["{A}", "{B}"]\nold = ["{B}"]\n')
    keys({}, {"name": B, **BY_WAYAN})
    answer = run("status")
    assert answer.exit_code == ExitCode.OFFICER_NEEDED
    assert "error: keys/old is in the policy; none of its keys can sign." in answer.stderr
    assert "keys/seal is in the policy" not in answer.stderr
    policy(f'[aliases]\nseal = ["{A}", "{B}"]\n')
    answer = run("status")
    assert answer.exit_code == ExitCode.OK
    assert f"Note: keys/seal ({B}): It was disabled by wayan on" in answer.stderr
    policy("")
    keys(BY_WAYAN)
    assert run("status").exit_code == ExitCode.OFFICER_NEEDED


def test_an_alias_without_keys_is_named_and_needs_somebody_once_all_tokens_are_there(
    run, officer, new_token, keys, policy
):
    policy(f'[aliases]\n"keys/gone" = ["{B}"]\n')
    answer = run("status")
    assert answer.exit_code == ExitCode.OFFICER_NEEDED
    assert "keys/gone is in the policy; none of its keys is on a token that was seen." in answer.stderr
    officer.tokens_there = (new_token(state=TokenState.STARTING),)
    assert run("status").exit_code == ExitCode.TRY_LATER


def test_a_private_key_that_nobody_can_ask_for_is_a_note(run, officer, new_token, keys):
    key = dataclasses.replace(new_token().keys[0], key=None, unusable_reason="Its public key is not known.")
    officer.tokens_there = (new_token(keys=(key,)),)
    answer = run("status")
    assert answer.exit_code == ExitCode.OK
    assert "Note: tokens/seal: seal-2026: Its public key is not known." in answer.stderr


def test_a_gap_in_a_chain_is_a_note(run, officer, new_managed):
    officer.keys.there = (new_managed("Its chain has a gap: the certificate of CN=ca is missing."),)
    answer = run("status")
    assert "Note: keys/seal: Its chain has a gap: the certificate of CN=ca is missing." in answer.stderr
    assert answer.exit_code == ExitCode.OK


def test_for_programs_it_is_one_object(run, officer, keys, policy, new_change):
    change = new_change()
    officer.changes.there[change.name] = change
    policy(f'[aliases]\nold = ["{B}"]\n', warnings=("The file differs.",), file_differs=True)
    keys(REFUSED)
    answer = run("status", "--json")
    (line,) = answer.stdout.splitlines()
    told = json.loads(line)
    assert answer.stderr == ""
    assert (told["signing"], told["why_not"]) == (False, ["No key can sign."])
    assert told["exit_code"] == answer.exit_code == 5
    assert [token["name"] for token in told["tokens"]] == ["tokens/seal"]
    (key,) = told["keys_that_cannot_sign"]
    assert (key["name"], key["state_reason"], key["kind"]) == (A, OVER, "P-256")
    assert list(told["dead_aliases"]) == ["keys/old"]
    assert told["warnings"] == ["The file differs."]
    assert [each["name"] for each in told["changes"]] == ["changes/7"]
    assert (told["two_person"], told["policy_file_differs"]) == (True, True)
    assert told["witness"]["configured"] is False
    keys({})
    policy("")
    assert json.loads(run("status", "--json").stdout)["signing"] is True
