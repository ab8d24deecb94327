"""Whether a key may sign, whatever its token can: pure, the clock passed in."""

from typing import Protocol

from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName
from segeld.office.expiry import Facts, day_of
from segeld.office.key_records import KeyNote


class Options(Protocol):
    """What the policy says of a key: True allows it."""

    @property
    def without_certificate(self) -> bool: ...
    @property
    def expired(self) -> bool: ...
    @property
    def revoked(self) -> bool: ...


def refusal(
    key: KeyName, note: KeyNote, facts: Facts | None, options: Options, at: float, *, revoked: bool
) -> Fault | None:
    """:param facts: of its certificate; None if it has none.
    :param revoked: whether that certificate is known to be revoked.
    """
    if note.disabled_at:
        return Fault(
            Reason.KEY_DISABLED,
            f"It was disabled by an officer on {day_of(note.disabled_at)}. If an alias stood for it, get the alias's key anew; "
            "else ask an officer.",
            key=str(key),
        )
    text = _certificate(facts, options, at, revoked=revoked)
    return Fault(Reason.KEY_CERTIFICATE, text, key=str(key)) if text else None


def _certificate(facts: Facts | None, options: Options, at: float, *, revoked: bool) -> str:
    if facts is None:
        if options.without_certificate:
            return ""
        return "It has no certificate yet, and the policy wants one. Ask an officer: segelctl key import-cert"
    if revoked and not options.revoked:
        return "Its certificate was revoked, and the policy refuses such keys. Ask an officer."
    if not options.expired:
        if at >= facts.not_after:
            return f"Its certificate ended on {day_of(facts.not_after)}, and the policy refuses such keys. Ask an officer."
        if at < facts.not_before:
            return f"Its certificate is valid only from {day_of(facts.not_before)}, and the policy refuses such keys."
    return ""


def next_turn(facts: Facts | None, at: float) -> float | None:
    """When the answer may become another one by time alone; None: never."""
    turns = [each for each in (facts.not_before, facts.not_after) if each > at] if facts else []
    return min(turns, default=None)
