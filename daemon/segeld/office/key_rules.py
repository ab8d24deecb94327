"""Whether a key may sign, whatever its token can: pure, the clock passed in."""

from typing import Final, Protocol

from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName
from segeld.office.expiry import Facts, day_of
from segeld.office.key_records import KeyNote

_TO_CALLERS: Final = " Ask an officer"
"""Where a text begins to say what a caller can do."""


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


def for_officers(key: KeyName, note: KeyNote, fault: Fault) -> str:
    """The same refusal for those who can do something about it.

    :param fault: what `refusal` gave.
    """
    if fault.reason is Reason.KEY_DISABLED:
        why = note.disabled_why.rstrip(".")
        return (
            f"It was disabled by {note.disabled_by} on {day_of(note.disabled_at)}: {why}. To use it again, which takes two "
            f"officers: segelctl key enable {key}"
        )
    text = fault.text.partition(_TO_CALLERS)[0].rstrip(".")
    return (
        f"{text}. Put in another: segelctl key import-cert FILE --key {key}; or let the policy allow it ([keys], "
        "[defaults]); or disable the key, if it is not needed any more"
    )


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
