"""Why something is allowed or not: the last step decided."""

import pytest

from segeld import policy
from segeld.model.algorithm import Algorithm
from segeld.model.names import Alias, KeyName
from segeld.policy.explain import explain

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
    barred = {BARRED: "The key is disabled."}
    return explain(POLICY, caller, key, algorithm, barred=lambda name: barred.get(name, ""), **more)


@pytest.mark.parametrize(
    ("caller", "key", "algorithm", "allowed", "last"),
    [
        ("one", MINE, None, True, "Yes"),
        ("one", Alias("seal"), Algorithm.ED25519, True, "Yes"),
        ("one", None, None, True, "Yes"),
        ("all", THEIRS, Algorithm.RSA_PSS_SHA256, True, "Yes"),
        ("all", None, None, True, "Yes"),
        ("one", MINE, Algorithm.RSA_PSS_SHA256, False, "RSA_PSS_SHA256 is not granted"),
        ("one", THEIRS, None, False, "it does not exist"),
        ("one", BARRED, None, False, "The key is disabled."),
        ("one", Alias("other"), None, False, "not among the aliases"),
        ("none", None, None, False, "no grant at all"),
        ("agus", MINE, None, False, "is an auditor"),
        ("nobody", MINE, None, False, "Nobody in the policy"),
    ],
)
def test_the_last_step_decided(caller, key, algorithm, allowed, last):
    found = why(caller, key, algorithm)
    assert (found.allowed, last in found.steps[-1]) == (allowed, True), found.steps
    if key is not None and not isinstance(key, Alias) and algorithm is not None and caller in ("one", "all"):
        assert found.allowed is POLICY.permits(caller, key, algorithm)


def test_limits_and_approvals_are_named():
    text = " ".join(why("one", MINE).steps)
    for words in ("dewi says yes", "5 signatures a second", "at most 9 inputs", "weight 1"):
        assert words in text


def test_whoever_was_revoked_is_told_so_and_no_more():
    found = why("one", MINE, revoked="one was revoked by siti: stolen.")
    assert not found.allowed
    assert found.steps[-1] == "one was revoked by siti: stolen."
