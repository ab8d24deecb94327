"""An alias is edited; everything else in the policy stays, comments among it."""

import pytest

from segel.cli.failures import UsageError
from segeld.ctl.key_alias import with_alias

A, B = "keys/sha256-" + "aa" * 32, "keys/sha256-" + "bb" * 32
POLICY = f"""\
# ours
two_person = true

[aliases]
seal = ["{A}"]  # since 2025

[[officers]]
name = "wayan"  # the first
sans = ["uri:x"]
"""


def aliases(toml: str) -> dict:
    import tomllib

    return tomllib.loads(toml).get("aliases", {})


def test_a_key_is_added_and_all_else_stays():
    edited = with_alias(POLICY, "seal", [B], [])
    assert aliases(edited) == {"seal": [A, B]}
    for kept in ("# ours", "two_person = true", 'name = "wayan"  # the first'):
        assert kept in edited


def test_rotation_in_one_step():
    assert aliases(with_alias(POLICY, "seal", [B], [A])) == {"seal": [B]}


def test_an_alias_is_made_and_goes_with_its_last_key():
    assert aliases(with_alias("two_person = false\n", "new", [A], [])) == {"new": [A]}
    assert aliases(with_alias(POLICY, "seal", [], [A])) == {}


@pytest.mark.parametrize(("add", "remove"), [([A], []), ([], [B])])
def test_what_changes_nothing_is_refused(add, remove):
    with pytest.raises(UsageError):
        with_alias(POLICY, "seal", add, remove)
