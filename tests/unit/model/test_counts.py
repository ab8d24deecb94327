"""One of something is not several."""

import pytest

from segeld.model.counts import counted, fitting


@pytest.mark.parametrize(
    ("number", "items", "leaves"),
    [
        (0, "0 items", "0 leaves"),
        (1, "1 item", "1 leaf"),
        (2, "2 items", "2 leaves"),
        (21, "21 items", "21 leaves"),
    ],
)
def test_a_count_and_its_noun(number, items, leaves):
    assert counted(number, "item") == items
    assert counted(number, "leaf", "leaves") == leaves


@pytest.mark.parametrize(
    ("number", "verb"), [(0, "wait"), (1, "waits"), (1.0, "waits"), (1.5, "wait"), (2, "wait")]
)
def test_the_verb_that_goes_with_it(number, verb):
    assert fitting(number, "waits", "wait") == verb
