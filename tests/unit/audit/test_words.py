"""Leaves as sentences for people."""

from segeld.audit.leaf import Act
from segeld.audit.words import sentence


def test_an_act_says_who_and_what_and_no_fact_that_is_empty():
    assert sentence(Act(0, "token active", "", "tokens/a", {"was": "starting", "why": ""})) == (
        "token active, by the daemon tokens/a (was starting)"
    )
    assert sentence(Act(0, "key disabled", "wayan", "keys/x", {"reason": "lost"})) == (
        "key disabled, by wayan keys/x (reason lost)"
    )
    assert sentence(Act(0, "log archived", "made", "", {"why": ""})) == "log archived, by made"
