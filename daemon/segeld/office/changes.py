"""A change on its way: who may do what with it, and when. Pure; the clock is passed in."""

import enum
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from segeld.model.faults import Fault, Reason
from segeld.model.person import Person
from segeld.office.actions import Action, action_hash

LIFETIME: Final = 72 * 3600.0
"""Seconds that a change waits to be approved and run."""
LAPSED: Final = "Whoever had approved it was taken out of the policy since, or their certificate was revoked."
"""The note of one that waits again."""


class ChangeState(enum.StrEnum):
    """The states of `segel.v1.Change.State`, without its prefix."""

    WAITING = "WAITING"
    APPROVED = "APPROVED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


MOVES: Final[Mapping[ChangeState, frozenset[ChangeState]]] = {
    ChangeState.WAITING: frozenset({ChangeState.APPROVED, ChangeState.REJECTED, ChangeState.EXPIRED}),
    ChangeState.APPROVED: frozenset(
        {ChangeState.WAITING, ChangeState.RUNNING, ChangeState.REJECTED, ChangeState.EXPIRED}
    ),
    ChangeState.RUNNING: frozenset(
        {ChangeState.APPROVED, ChangeState.DONE, ChangeState.FAILED, ChangeState.REJECTED}
    ),
    ChangeState.DONE: frozenset(),
    ChangeState.REJECTED: frozenset(),
    ChangeState.EXPIRED: frozenset(),
    ChangeState.FAILED: frozenset(),
}
EXPIRING: Final = frozenset({ChangeState.WAITING, ChangeState.APPROVED})
ENDED: Final = frozenset(state for state, moves in MOVES.items() if not moves)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Times are seconds since the epoch."""

    number: int
    state: ChangeState
    action: Action
    summary: tuple[str, ...]
    asked: Person
    asked_at: float
    expires_at: float
    decided: Person | None = None
    """Who approved or rejected it; None if nobody had to, or nobody has."""
    decided_at: float | None = None
    standing: str = ""
    """Of whoever approved it, when they did: if it is another now, the approval counts no more."""
    ended_at: float | None = None
    note: str = ""
    """Why it was rejected, or how its last run failed."""

    @property
    def name(self) -> str:
        return f"changes/{self.number}"

    @property
    def hash(self) -> bytes:
        return action_hash(self.action)

    @property
    def open(self) -> bool:
        return self.state not in ENDED


def asked(
    number: int, action: Action, summary: tuple[str, ...], who: Person, *, needs_approval: bool, at: float
) -> Change:
    return Change(
        number=number,
        state=ChangeState.WAITING if needs_approval else ChangeState.APPROVED,
        action=action,
        summary=summary,
        asked=who,
        asked_at=at,
        expires_at=at + LIFETIME,
    )


def expired(change: Change, at: float) -> Change | None:
    """The change as EXPIRED, if its time is over."""
    if change.state not in EXPIRING or at < change.expires_at:
        return None
    return _moved(change, ChangeState.EXPIRED, ended_at=change.expires_at)


def approved(change: Change, who: Person, seen: bytes, *, at: float, standing: str = "") -> Change:
    """:param seen: the hash of the action that the officer was shown.
    :param standing: of that officer.
    :raises Fault: SECOND_PERSON_REQUIRED; CHANGE_STATE if it does not wait, or is not what was shown.
    """
    if who.is_same_as(change.asked):
        alike = (
            ""
            if who.name == change.asked.name
            else ", under another name: the certificate, or its SAN, is the same"
        )
        raise Fault(
            Reason.SECOND_PERSON_REQUIRED,
            f"{change.name} was asked for by {change.asked.name}, and that is you{alike}. Another officer must run: "
            f"segelctl change approve {change.number}",
            change=change.name,
            requested_by=change.asked.name,
        )
    _require(change, {ChangeState.WAITING}, "cannot be approved")
    if seen != change.hash:
        raise Fault(
            Reason.CHANGE_STATE,
            f"{change.name} is not what was shown. Look at it again: segelctl change show {change.number}",
            field="action_hash",
            change=change.name,
        )
    return _moved(change, ChangeState.APPROVED, decided=who, decided_at=at, standing=standing, note="")


def rejected(change: Change, who: Person, why: str, *, at: float, live: bool) -> Change:
    """:param live: whether it is being run now, not left over by a crash.
    :raises Fault: CHANGE_STATE if it has ended, or is being run.
    """
    if live:
        raise _refused(change, "is being run now", "Wait until it has ended")
    _require(change, {ChangeState.WAITING, ChangeState.APPROVED, ChangeState.RUNNING}, "cannot be rejected")
    return _moved(change, ChangeState.REJECTED, decided=who, decided_at=at, ended_at=at, note=why)


def lapsed(change: Change) -> Change:
    """An approval that counts no more: its officer is none any longer, or was none for a while."""
    return _moved(change, ChangeState.WAITING, decided=None, decided_at=None, standing="", note=LAPSED)


def begun(change: Change, who: Person) -> Change:
    """:raises Fault: SECOND_PERSON_REQUIRED if another asked for it; CHANGE_STATE if it is not approved."""
    if who.name != change.asked.name:
        raise Fault(
            Reason.SECOND_PERSON_REQUIRED,
            f"{change.name} was asked for by {change.asked.name}. They alone run it: segelctl change run {change.number}",
            change=change.name,
            requested_by=change.asked.name,
        )
    _require(change, {ChangeState.APPROVED}, "cannot be run")
    return _moved(change, ChangeState.RUNNING, note="")


def given_back(change: Change, why: str) -> Change:
    """Its run failed before anything was changed."""
    return _moved(change, ChangeState.APPROVED, note=why)


def done(change: Change, at: float) -> Change:
    return _moved(change, ChangeState.DONE, ended_at=at)


def failed(change: Change, why: str, at: float) -> Change:
    """Its run failed, and something was changed, or may have been."""
    return _moved(change, ChangeState.FAILED, ended_at=at, note=why)


def unapproved(change: Change) -> Fault:
    """By now it needs an approval that nobody gave."""
    return _refused(change, "needs another officer by now, and nobody has approved it", _ANEW)


def outdated(change: Change, why: str) -> Fault:
    """Nobody should say yes to what can never be run."""
    return _refused(
        change, f"cannot be run any more: {why}", f"Close it: segelctl change reject {change.number}"
    )


def moved_on(change: Change, now: Sequence[str], to_see_all: str) -> Fault:
    """What it would do is not what was shown to those who decided.

    :param now: the sentences of today.
    :param to_see_all: the command after which they say all; empty if they do.
    """
    # All of it was seen then, and it is the same device: to look again may be enough.
    if to_see_all and now[0] == change.summary[0] and not any(to_see_all in line for line in change.summary):
        return _refused(
            change,
            "cannot be compared with what was approved: not all of that can be seen now",
            f"Run: {to_see_all}, then run it again. If that cannot be done, ask anew",
        )
    new = next((line for line in now if line not in change.summary), "less than before")
    return _refused(change, f"would not do what it said when it was asked for; now: {new}", _ANEW)


_ANEW: Final = "Look at what is in force now, and ask anew"
_WHY: Final[Mapping[ChangeState, tuple[str, str]]] = {
    ChangeState.WAITING: ("waits for another officer", "They run first: segelctl change approve {number}"),
    ChangeState.APPROVED: ("is approved already", "Whoever asked for it runs: segelctl change run {number}"),
    ChangeState.RUNNING: (
        "was begun, and may have been run wholly or in part",
        "Look, then close it (segelctl change reject {number}) and ask anew",
    ),
    ChangeState.DONE: ("was run", "Ask anew if it is to be done again"),
    ChangeState.REJECTED: ("was rejected", "If it is to be done all the same, ask anew"),
    ChangeState.EXPIRED: (
        "has expired, as no change waits longer than 72 hours",
        "If it is still to be done, ask anew",
    ),
    ChangeState.FAILED: ("was run and failed in part", "Look, then ask anew"),
}


def _require(change: Change, states: set[ChangeState], refused: str) -> None:
    if change.state not in states:
        why, advice = _WHY[change.state]
        raise _refused(change, f"{refused}: it {why}", advice.format(number=change.number))


def _refused(change: Change, why: str, advice: str) -> Fault:
    return Fault(
        Reason.CHANGE_STATE,
        f"{change.name} {why.rstrip('.')}. {advice}.",
        change=change.name,
        state=str(change.state),
    )


def _moved(change: Change, state: ChangeState, **fields: object) -> Change:
    assert state in MOVES[change.state], f"{change.name}: {change.state} does not become {state}"
    return replace(change, state=state, **fields)
