"""Whether a key may sign: withdrawn, without certificate, with one that is over."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld.model.faults import Reason
from segeld.model.names import KeyName
from segeld.office.expiry import NEAR_DAYS, Facts, warning
from segeld.office.key_records import KeyNote
from segeld.office.key_rules import for_officers, next_turn, refusal

KEY = KeyName(bytes(32))
FACTS = Facts(100.0, 200.0, "CN=seal", "CN=ca")
STRICT = SimpleNamespace(without_certificate=False, expired=False, revoked=False)
LOOSE = SimpleNamespace(without_certificate=True, expired=True, revoked=True)


def reason(facts, options, at, *, note=None, revoked=False):
    fault = refusal(KEY, note or KeyNote(), facts, options, at, revoked=revoked)
    return fault and fault.reason


def test_a_withdrawn_key_is_refused_whatever_the_policy_allows():
    assert reason(FACTS, LOOSE, 150, note=KeyNote(disabled_at=1.0)) is Reason.KEY_DISABLED


@pytest.mark.parametrize(
    ("facts", "at", "revoked"),
    [(None, 150, False), (FACTS, 200, False), (FACTS, 99.9, False), (FACTS, 150, True)],
    ids=["none", "over", "not begun", "revoked"],
)
def test_the_policy_decides_over_certificates(facts, at, revoked):
    assert reason(facts, STRICT, at, revoked=revoked) is Reason.KEY_CERTIFICATE
    assert reason(facts, LOOSE, at, revoked=revoked) is None


def test_officers_are_told_who_did_it_why_and_what_to_run():
    note = KeyNote(disabled_at=3600.0, disabled_by="wayan", disabled_why="replaced.")
    fault = refusal(KEY, note, FACTS, LOOSE, 150, revoked=False)
    assert "wayan" not in fault.text
    assert for_officers(KEY, note, fault) == (
        "It was disabled by wayan on 1970-01-01 01:00 UTC: replaced. To use it again, which takes two officers: "
        f"segelctl key enable {KEY}"
    )


@pytest.mark.parametrize(("facts", "at"), [(None, 150), (FACTS, 200), (FACTS, 99.9)])
def test_officers_are_not_sent_to_an_officer(facts, at):
    fault = refusal(KEY, KeyNote(), facts, STRICT, at, revoked=False)
    told = for_officers(KEY, KeyNote(), fault)
    assert "an officer" not in told
    assert told.startswith(fault.text.partition(" Ask")[0].rstrip("."))
    assert f"segelctl key import-cert FILE --key {KEY}" in told


def test_a_good_certificate_is_good_to_its_last_moment():
    assert reason(FACTS, STRICT, 100) is None
    assert reason(FACTS, STRICT, 199.999) is None


@given(st.floats(0, 300), st.floats(0, 300))
def test_the_answer_changes_at_turns_only(first, second):
    at, later = sorted((first, second))
    turn = next_turn(FACTS, at)
    if turn is None or later < turn:
        assert reason(FACTS, STRICT, at) == reason(FACTS, STRICT, later)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (NEAR_DAYS + 0.1, None),
        (NEAR_DAYS - 0.1, "in 29 days"),
        (1.5, "in 1 day,"),
        (0.5, "today"),
        (-1, "ended on"),
    ],
)
def test_warnings_begin_thirty_days_before_the_end(days, expected):
    text = warning("It", 1e9, 1e9 - days * 86_400)
    assert text is None if expected is None else text is not None and expected in text
