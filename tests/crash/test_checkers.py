"""The crash loop's judges find what they are there for."""

import hashlib

import crash_log
import pytest
from crash_journal import Journal, digests_of
from crash_log import Asked, Story

KEY, TOKEN = bytes(32), "tokens/main"
JOB = "jobs/" + "0a" * 16
OPENED = [4, 0, "segel/x", ""]


def intent(work: bytes, first: int = 0, count: int = 1) -> list:
    return [1, 0, "office", KEY, 7, TOKEN, [[work, first, count]], bytes(32)]


def outcome(of: int, *told: bytes | str) -> list:
    signed = b"".join(hashlib.sha256(one).digest() for one in told if isinstance(one, bytes))
    why = [[place, one] for place, one in enumerate(told) if isinstance(one, str)]
    return [2, 0, of, bytes(32 * len(told)), signed, why]


def judged(leaves: list, *works) -> list[str]:
    journal = Journal()
    for work in works:
        (journal.stories if isinstance(work, Story) else journal.asked).append(work)
    crash_log.check_journal(crash_log.Log.of([OPENED, *leaves]), journal)
    return journal.wrong


def story(*told) -> Story:
    made = Story("office", "r", digests_of("r", len(told)), name=JOB)
    made.got = dict(enumerate(told))
    return made


def asked(*told) -> Asked:
    return Asked("office", "q", digests_of("q", len(told)), dict(enumerate(told)))


W = bytes.fromhex("0a" * 16)
LOST = [intent(W), outcome(1, "UNKNOWN"), intent(W), outcome(3, "UNKNOWN")]


@pytest.mark.parametrize(
    ("leaves", "work"),
    [
        ([intent(W), outcome(1, b"s")], story((b"s", 2, 0))),
        ([intent(W), outcome(1, "UNKNOWN"), intent(W), outcome(3, b"s")], story((b"s", 4, 0))),
        ([*LOST, intent(W), outcome(5, "WORKER_LOST")], story("WORKER_LOST")),
        ([*LOST, intent(W), outcome(5, "NOT_BEGUN"), intent(W), outcome(7, b"s")], story((b"s", 8, 0))),
        ([intent(b"q"), outcome(1, b"s")], asked((b"s", 2, 0))),
    ],
)
def test_what_is_right_is_not_blamed(leaves, work) -> None:
    assert judged(leaves, work) == []


@pytest.mark.parametrize(
    ("leaves", "work", "says"),
    [
        ([intent(W)], story("CANCELLED"), "without an outcome"),
        ([intent(W), outcome(1, b"s")], story((b"t", 2, 0)), "was released from"),
        ([intent(W), outcome(1, b"s")], story((b"s", 2, 1)), "was released from"),
        ([], story((b"s", 2, 0)), "was released from"),
        ([intent(W), outcome(1, b"s"), intent(W), outcome(3, b"t")], story((b"s", 2, 0)), "signed 2 times"),
        (
            [intent(W), outcome(1, b"s"), intent(W), outcome(3, "UNKNOWN")],
            story((b"s", 2, 0)),
            "after it was",
        ),
        ([intent(W), outcome(1, b"s")], story("WORKER_LOST"), "has a signature"),
        (
            [*LOST, intent(W), outcome(5, "UNKNOWN"), intent(W), outcome(7, b"s")],
            story((b"s", 8, 0)),
            "4 times",
        ),
        (
            [intent(W), outcome(1, "DEVICE_ERROR"), intent(W), outcome(3, b"s")],
            story((b"s", 4, 0)),
            "had failed",
        ),
        (
            [intent(b"q"), outcome(1, b"s"), intent(b"q"), outcome(3, b"t")],
            asked((b"s", 2, 0)),
            "signed 2 times",
        ),
    ],
)
def test_what_is_wrong_is_found(leaves, work, says) -> None:
    wrong = judged(leaves, work)
    assert any(says in each for each in wrong), wrong


def test_a_second_answer_must_be_the_first() -> None:
    journal, one = Journal(), asked()
    journal.note(one, 0, (b"s", 2, 0))
    journal.note(one, 0, (b"s", 2, 0))
    assert journal.wrong == []
    journal.note(one, 0, (b"t", 2, 0))
    assert len(journal.wrong) == 1


def test_two_items_with_one_receipt_are_found() -> None:
    leaves = [intent(W), outcome(1, b"s")]
    other = Story("office", "r2", digests_of("r2", 1), name=JOB)
    other.got = {0: (b"s", 2, 0)}
    assert any("too" in each for each in judged(leaves, story((b"s", 2, 0)), other))
