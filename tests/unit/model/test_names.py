"""Names are parsed once, strictly, and come out as they went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld.model.names import Alias, BadName, KeyName, TokenName, is_request_id, parse_key_or_alias


@given(st.binary(min_size=32, max_size=32))
def test_a_key_name_comes_out_as_it_went_in(fingerprint: bytes) -> None:
    name = KeyName(fingerprint)
    assert KeyName.parse(str(name)) == name
    assert parse_key_or_alias(str(name)) == name


@given(st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", fullmatch=True))
def test_an_alias_comes_out_as_it_went_in(word: str) -> None:
    assert parse_key_or_alias(f"keys/{word}") == Alias(word)
    assert str(Alias.parse(f"keys/{word}")) == f"keys/{word}"
    assert TokenName.parse(f"tokens/{word}") == TokenName.parse(word)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "keys/",
        "seal",
        "keys/Seal",
        "keys/-a",
        "keys/a/b",
        "keys/a\n",
        "keys/ä",
        "keys/" + "a" * 64,
        "tokens/a",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        parse_key_or_alias(text)


def test_an_alias_cannot_look_like_a_fingerprint() -> None:
    with pytest.raises(BadName):
        Alias.parse("sha256-" + "0" * 64)


@pytest.mark.parametrize("text", ["sha256-" + "0" * 63, "sha256-" + "A" * 64, "sha1-" + "0" * 40])
def test_a_key_name_has_64_digits_in_lower_case(text: str) -> None:
    with pytest.raises(BadName):
        KeyName.parse(text)


@pytest.mark.parametrize(
    ("text", "good"), [("a", True), ("A.b_c:d-9", True), ("", False), ("a b", False), ("x" * 129, False)]
)
def test_request_ids(text: str, good: bool) -> None:
    assert is_request_id(text) is good
