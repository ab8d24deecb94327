"""A long policy is read in another process, a short one here: both come to the same."""

import pytest

from segeld.office.compiling import compile_aside, compile_text

LONG = "# " + "x" * 100 + "\n"
GOOD = """\
two_person = false
[[officers]]
name = "wayan"
sans = ["uri:segel:wayan"]
[[callers]]
sans = ["uri:segel:tax"]
"""
ODD = [
    'name = "tax"',
    "name = 2026-11-24",
    "weight = 07:30:00",
    "weight = nan",
    "weight = inf",
    "weight = 1e400",
    "weight = 123456789012345678901234567890",
    'name = "b\\u0000"',
    'name = "\\U0001F600"',
    "two = 2",
    "weight = [[[[1]]]]",
    "weight = {a = {b = 1}}",
    "a",
    "name = 'tax'\nname = 'tax'",
]


@pytest.mark.parametrize("line", ODD)
async def test_a_long_policy_comes_to_what_a_short_one_does(line):
    text = GOOD + line + "\n" + LONG * 200
    here, aside = compile_text(text), await compile_aside(text)
    assert aside.problems == here.problems
    assert aside.policy == here.policy
    assert bool(here.problems) == (line != ODD[0])
