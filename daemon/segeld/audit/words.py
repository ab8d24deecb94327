"""Leaves in words: for people who look at the log."""

from datetime import UTC, datetime

from segeld.audit.leaf import Act, AnyLeaf, Intent, Opened, Outcome, PartRange
from segeld.model.algorithm import BY_NUMBER
from segeld.model.counts import counted
from segeld.model.names import JobName, KeyName, is_request_id


def when(at: int) -> str:
    """In UTC, as both ends of a dispute read it."""
    try:
        return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
    except (ValueError, OverflowError, OSError):
        return f"{at} ms"


def stamp(at: int) -> str:
    """RFC 3339 in UTC: for programs."""
    return when(at).replace(" ", "T", 1) if when(at).endswith("Z") else when(at)


def work(part: PartRange) -> str:
    """The job or the request that a part belongs to."""
    if not part.work:
        return "a request without an id"
    text = part.work.decode("ascii", "replace")
    if len(part.work) == 16 and not is_request_id(text):
        return str(JobName(part.work))
    return f"request {text}"


def algorithm(number: int) -> str:
    return BY_NUMBER[number].name if number in BY_NUMBER else f"algorithm {number}"


def part_at(intent: Intent, position: int) -> str:
    """Which item of which work a position is."""
    for part in intent.parts:
        if position < part.count:
            return f"item {part.first + position} of {work(part)}"
        position -= part.count
    return f"position {position}"


def sentence(leaf: AnyLeaf) -> str:
    match leaf:
        case Intent():
            count = sum(part.count for part in leaf.parts)
            parts = "; ".join(f"{work(part)}, {part.count} from item {part.first}" for part in leaf.parts)
            key = KeyName(leaf.key) if len(leaf.key) == 32 else leaf.key.hex()
            return (
                f"{leaf.caller} has {counted(count, 'input')} signed with {key} on {leaf.token}, "
                f"{algorithm(leaf.algorithm)}: {parts}"
            )
        case Outcome():
            signed, missing = len(leaf.signatures) // 32, len(leaf.unsigned)
            reasons = ", ".join(sorted({reason for _, reason in leaf.unsigned}))
            return f"of intent {leaf.intent}: {signed} signed" + (
                f", {missing} not ({reasons})" if missing else ""
            )
        case Act():
            facts = ", ".join(f"{name} {value}" for name, value in leaf.facts.items() if value)
            who = leaf.who or "the daemon"
            return " ".join(
                filter(None, (f"{leaf.what}, by {who}", leaf.subject, f"({facts})" if facts else ""))
            )
        case Opened():
            return f"the log {leaf.origin} begins" + (" and continues another" if leaf.previous else "")
