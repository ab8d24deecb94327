"""Acts in the log: an act that is too long is cut, and none is lost without a word."""

import structlog

from segeld.audit.acts import Acts
from segeld.audit.leaf import MAX_FACT, MAX_LEAF, Act, BadLeaf, decode, encode


def test_an_act_is_cut_rather_than_lost():
    text = "é" * MAX_LEAF
    act = Act(7, "certificate import begun", "wayan", text, {"subject": text, "certificate": "sha256-00"})
    kept = decode(encode(act))
    cut = f"{'é' * MAX_FACT}…"
    assert kept == Act(7, act.what, "wayan", cut, {"subject": cut, "certificate": "sha256-00"})


def test_one_that_fits_is_as_it_was():
    act = Act(7, "policy applied", "wayan", "policy", {"why": "x" * (MAX_LEAF - 100)})
    assert decode(encode(act)) == act


async def test_what_cannot_be_recorded_later_is_in_the_daemons_log():
    class Odd:
        async def record(self, leaf):
            raise BadLeaf("a leaf of 70000 octets")

    acts = Acts(Odd())
    with structlog.testing.capture_logs() as events:
        acts.later("token activated", who="wayan", subject="tokens/seal")
        await acts.drained()
    (event,) = events
    assert (event["event"], event["what"], event["subject"]) == (
        "not recorded",
        "token activated",
        "tokens/seal",
    )
    assert isinstance(event["exc_info"], BadLeaf)
