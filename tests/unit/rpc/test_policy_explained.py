"""What tokens and certificates add to an explanation, in words for officers."""

import pytest

from segeld.model.algorithm import Algorithm, KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState
from segeld.rpc import policy_explained

KEY = KeyName(b"k" * 32)
SEAL = TokenName("seal")


class Shelf:
    """An inventory of one key on one token."""

    def __init__(self, record: KeyRecord | None, reason: str = "") -> None:
        self._record = record
        self._reason = reason

    def key(self, name):
        return self._record

    def token(self, name):
        return type("Token", (), {"state_reason": self._reason})


def record(*states: TokenState, **changes) -> KeyRecord:
    values = {
        "name": KEY,
        "kind": KeyKind.ED25519,
        "public_key": b"",
        "chain": (),
        "tokens": tuple((SEAL, state) for state in states),
        "unusable": None,
        "trouble": "",
    }
    return KeyRecord(**values | changes)


def held(found, reason=""):
    return policy_explained.held(Shelf(found, reason))(KEY)


def test_a_key_that_can_sign():
    found = held(record(TokenState.ACTIVE))
    assert (found.algorithms, found.idle) == ({Algorithm.ED25519}, "")
    assert held(record(TokenState.ABSENT, TokenState.ACTIVE)).idle == ""


def test_a_key_that_nobody_holds():
    assert held(None) is None


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (TokenState.QUARANTINED, "wayan did it.", "tokens/seal is in quarantine. wayan did it."),
        (TokenState.INACTIVE, "It waits for its PIN.", "tokens/seal is inactive. It waits for its PIN."),
        (TokenState.ABSENT, "", "tokens/seal is absent."),
    ],
)
def test_a_key_that_signs_nothing_just_now(state, reason, said):
    assert held(record(state), reason).idle == said


def test_a_key_that_is_of_no_use():
    unusable = record(unusable=Reason.KEY_AMBIGUOUS, trouble="Two objects have it")
    assert held(unusable).idle == "Two objects have it."
    assert held(record(kind=None)).algorithms == frozenset()


def test_what_callers_are_told_to_do_is_not_told_to_officers():
    text = "It was disabled by an officer on a day. If an alias stood for it, get the alias's key anew; else ask an officer."
    barred = policy_explained.barred(Fault(Reason.KEY_DISABLED, text), KEY)
    assert barred.why == "It was disabled by an officer on a day."
    assert barred.remedy.endswith(f"segelctl key enable {KEY}")
    text = "Its certificate was revoked, and the policy refuses such keys. Ask an officer."
    barred = policy_explained.barred(Fault(Reason.KEY_CERTIFICATE, text), KEY)
    assert barred.why == "Its certificate was revoked, and the policy refuses such keys."
    assert f"import-cert FILE --key {KEY}" in barred.remedy
    assert policy_explained.barred(None, KEY) is None
