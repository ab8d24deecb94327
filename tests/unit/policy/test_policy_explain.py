"""Why something is allowed or not: the last step decided."""

import pytest

from segeld import policy
from segeld.model.algorithm import Algorithm
from segeld.model.names import Alias, KeyName
from segeld.policy.explain import Barred, Held, explain

MINE, THEIRS, BARRED = (KeyName(bytes([number]) * 32) for number in range(3))
POLICY, _ = policy.parse(f"""
[aliases]
seal = ["{MINE}"]
[[callers]]
name = "one"
sans = ["dns:one"]
rate = 5
at_once = 9
[[callers.grants]]
keys = ["keys/seal", "{BARRED}"]
algorithms = ["ED25519"]
approval = ["dewi"]
[[callers]]
name = "none"
sans = ["dns:none"]
[[callers]]
name = "all"
sans = ["dns:all"]
[[callers.grants]]
keys = ["*"]
[[auditors]]
name = "agus"
sans = ["email:agus"]
[[approvers]]
name = "dewi"
sans = ["email:dewi"]
""")


def why(caller, key=None, algorithm=None, **more):
    barred = {BARRED: Barred("The key is disabled.", "Enable it.")}
    return explain(POLICY, caller, key, algorithm, barred=barred.get, **more)


@pytest.mark.parametrize(
    ("caller", "key", "algorithm"),
    [
        ("one", MINE, None),
        ("one", Alias("seal"), Algorithm.ED25519),
        ("one", None, None),
        ("all", THEIRS, Algorithm.RSA_PSS_SHA256),
        ("all", None, None),
    ],
)
def test_what_is_allowed_ends_with_yes(caller, key, algorithm):
    found = why(caller, key, algorithm)
    assert found.allowed
    assert found.steps[-1] == "Yes: it may."
    if isinstance(key, KeyName) and algorithm is not None:
        assert POLICY.permits(caller, key, algorithm)


@pytest.mark.parametrize(
    ("caller", "key", "algorithm", "step", "remedy"),
    [
        (
            "one",
            MINE,
            Algorithm.RSA_PSS_SHA256,
            "RSA_PSS_SHA256 is not granted",
            "add RSA_PSS_SHA256 to the algorithms",
        ),
        (
            "one",
            THEIRS,
            None,
            "it does not exist",
            f'name "{THEIRS}" in a [[callers.grants]] of one: segelctl policy show',
        ),
        ("one", BARRED, None, "The key is disabled.", "Enable it."),
        ("one", Alias("saal"), None, "not among the aliases", "Did you mean keys/seal? segelctl key list"),
        ("one", Alias("other"), None, "not among the aliases", "may not. segelctl key list"),
        ("none", None, None, "no grant at all", "add a [[callers.grants]] to none"),
        ("agus", MINE, None, "is an auditor", "segelctl caller list"),
        ("nobody", MINE, None, "Nobody in the policy", "may not. segelctl caller list"),
        ("onne", MINE, None, "Nobody in the policy", "Did you mean one? segelctl caller list"),
    ],
)
def test_what_is_not_allowed_ends_with_what_can_be_done(caller, key, algorithm, step, remedy):
    found = why(caller, key, algorithm)
    assert not found.allowed
    assert step in found.steps[-2]
    assert found.steps[-1].startswith("No: it may not. ")
    assert remedy in found.steps[-1]


def test_limits_and_approvals_are_named():
    text = " ".join(why("one", MINE).steps)
    for words in ("dewi says yes", "5 signatures a second", "at most 9 inputs", "weight 1"):
        assert words in text


def test_whoever_was_revoked_is_told_so_and_no_more():
    found = why("one", MINE, revoked="one was revoked by siti: stolen.")
    assert not found.allowed
    assert found.steps[-2:] == (
        "one was revoked by siti: stolen.",
        "No: it may not. To let it in again, which takes two officers: segelctl caller unrevoke one",
    )


def test_a_key_that_no_token_holds_is_not_allowed_by_a_grant_of_every_key():
    found = why("all", THEIRS, held=lambda key: None)
    assert not found.allowed
    assert f"No token that was looked at holds {THEIRS}." in found.steps
    assert "segelctl token list" in found.steps[-1]


@pytest.mark.parametrize(
    ("can", "asked", "said", "remedy"),
    [
        ({Algorithm.ED25519}, Algorithm.RSA_PSS_SHA256, "cannot do RSA_PSS_SHA256", "ask for ED25519."),
        (set(), None, "of a kind that segel does not sign with", "segelctl key list"),
    ],
)
def test_what_a_key_cannot_do_is_not_allowed_by_a_grant_of_whatever_it_can(can, asked, said, remedy):
    found = why("all", THEIRS, asked, held=lambda key: Held(frozenset(can)))
    assert not found.allowed
    assert said in found.steps[-2]
    assert remedy in found.steps[-1]


def test_a_grant_of_what_the_key_cannot_do_is_no_use():
    found = why("one", MINE, held=lambda key: Held(frozenset({Algorithm.RSA_PSS_SHA256})))
    assert not found.allowed
    assert f"{MINE} cannot do ED25519." in found.steps


def test_a_token_that_is_away_is_said_and_is_no_matter_of_the_policy():
    found = why("one", MINE, held=lambda key: Held(idle="tokens/seal is in quarantine."))
    assert found.allowed
    assert found.steps[-1] == "Yes, it may; but just now nothing is signed: tokens/seal is in quarantine."


def test_of_two_keys_of_an_alias_one_that_signs_is_enough():
    two, _ = policy.parse(f"""
[aliases]
two = ["{MINE}", "{THEIRS}", "{BARRED}"]
[[callers]]
name = "one"
sans = ["dns:one"]
[[callers.grants]]
keys = ["*"]
""")
    barred = {BARRED: Barred("It was disabled.", "Enable it.")}
    held = {MINE: Held(idle="tokens/a is locked."), THEIRS: Held(), BARRED: Held()}
    found = explain(two, "one", Alias("two"), None, barred=barred.get, held=held.get)
    assert found.allowed
    assert "It was disabled." in found.steps
    assert found.steps[-1] == "Yes: it may."
    held[THEIRS] = None
    found = explain(two, "one", Alias("two"), None, barred=barred.get, held=held.get)
    assert found.steps[-1].endswith("just now nothing is signed: tokens/a is locked.")
    held[MINE] = None
    found = explain(two, "one", Alias("two"), None, barred=barred.get, held=held.get)
    assert not found.allowed
    assert "token list" in found.steps[-1]
    assert "Enable it." in found.steps[-1]
