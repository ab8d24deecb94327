"""Values of the wrong type are named in words, and with what may stand there."""

import enum

import msgspec
import pytest

from segeld.config.wanted import sentence


class Mood(enum.StrEnum):
    HOLD = "hold"
    CANCEL = "cancel"


def said(value, kind, choices=()) -> str:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, kind)
    return sentence(str(caught.value), choices)


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("five", float | None, "a number is wanted, not text"),
        (3.5, int | None, "a whole number is wanted, not one with a decimal point"),
        (True, int, "a whole number is wanted, not true or false"),
        (3, str, "text in quotes is wanted, not a number"),
        ("no", bool, "true or false is wanted, not text"),
        ("x", tuple[str, ...], "a list in [ ] is wanted, not text"),
        ([], dict, "a table is wanted, not a list in [ ]"),
        (["a", 1], tuple[str, ...], "[1]: text in quotes is wanted, not a number"),
    ],
)
def test_in_words(value, kind, words):
    assert said(value, kind) == words


def test_the_words_there_are():
    assert said("burn", Mood, tuple(Mood)) == "'burn' is not known; there are hold, cancel"


def test_what_is_not_understood_is_left_as_it_is():
    assert sentence("Something `odd` happened", ()) == "something odd happened"
