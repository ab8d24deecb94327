"""Whether the leaves make sense together: what auditors rely on beyond that nobody changed them."""

from collections.abc import Callable
from typing import Final

from segeld.audit import layout
from segeld.audit.layout import ENTRIES, WIDTH
from segeld.audit.leaf import HASH, Act, AnyLeaf, BadLeaf, Commitments, Intent, Opened, Outcome, decode
from segeld.audit.report import Report

_SHOWN: Final = 20


class Meaning:
    """Takes leaf after leaf. Keeps of each intent, until its outcome comes, what the outcome must fit."""

    def __init__(
        self, report: Report, commitments: Commitments | None, earlier: Callable[[int], AnyLeaf]
    ) -> None:
        """:param earlier: reads a leaf again; asked only to explain a problem."""
        self._report = report
        self._commitments = commitments
        self._earlier = earlier
        self._open: dict[int, tuple[bytes, int]] = {}
        self._fitting = 0
        self._unfitting: list[int] = []
        self._unfitting_count = 0

    def _is_away(self, index: int) -> bool:
        return any(first <= index <= last for first, last in self._report.away)

    def take(self, index: int, data: bytes) -> None:
        try:
            leaf = decode(data)
        except BadLeaf as error:
            self._problem(index, f"it is no leaf that this version knows: {error}")
            return
        report = self._report
        report.last_at = leaf.at
        if not index:
            report.first_at = leaf.at
            self._opened(leaf)
        elif isinstance(leaf, Outcome):
            report.outcomes += 1
            self._outcome(index, leaf)
        elif isinstance(leaf, Intent):
            report.intents += 1
            self._open[index] = leaf.items, sum(part.count for part in leaf.parts)
        elif isinstance(leaf, Act):
            report.acts += 1
        else:
            self._problem(index, "a log is opened by its first leaf alone, and this one opens it again")

    def _opened(self, leaf: AnyLeaf) -> None:
        if not isinstance(leaf, Opened):
            self._problem(0, "the first leaf does not open the log")
        elif leaf.origin != self._report.origin:
            self._problem(0, f"it opens the log {leaf.origin}, not {self._report.origin}")
        else:
            self._report.previous = leaf.previous

    def _outcome(self, index: int, leaf: Outcome) -> None:
        intent = self._open.pop(leaf.intent, None)
        if intent is None and leaf.intent < index and self._is_away(leaf.intent):
            self._report.signatures += len(leaf.signatures) // HASH
            self._report.unsigned += len(leaf.unsigned)
            return
        if intent is None:
            self._problem(index, self._without_intent(index, leaf.intent))
            return
        items, count = intent
        missing = len(leaf.unsigned)
        if len(leaf.commitments) != count * HASH:
            self._problem(
                index,
                f"it has commitments to {len(leaf.commitments) / HASH:g} inputs; intent {leaf.intent} has {count}",
            )
            return
        if missing:
            positions = [position for position, _ in leaf.unsigned]
            if positions[0] < 0 or positions[-1] >= count or any(map(int.__ge__, positions, positions[1:])):
                self._problem(index, "its positions without a signature do not ascend, or are out of range")
        if len(leaf.signatures) != (count - missing) * HASH:
            self._problem(
                index,
                f"it has {len(leaf.signatures) / HASH:g} signatures where {count - missing} are expected",
            )
        self._report.signatures += len(leaf.signatures) // HASH
        self._report.unsigned += missing
        if self._commitments is not None:
            if self._commitments.of_list((leaf.commitments,)) == items:
                self._fitting += 1
            else:
                self._unfitting_count += 1
                if len(self._unfitting) < _SHOWN:
                    self._unfitting.append(index)

    def _without_intent(self, index: int, intent: int) -> str:
        if not 0 <= intent < index:
            return f"it names leaf {intent} as its intent, which is not before it"
        try:
            leaf = self._earlier(intent)
        except Exception as error:  # noqa: BLE001  # it is only to explain a problem
            return f"its intent, leaf {intent}, cannot be read: {error}"
        if isinstance(leaf, Intent):
            return f"intent {intent} has an outcome already: nothing may be signed twice for it"
        return f"it names leaf {intent} as its intent, which is none"

    def finish(self) -> None:
        """Says what can only be said at the end."""
        self._report.unfinished_count = len(self._open)
        self._report.unfinished = list(self._open)[:_SHOWN]
        if not self._unfitting_count:
            return
        if not self._fitting:
            self._report.add(
                "it fits none of the outcomes: it is not this log's salt, or was changed. Whether what was signed is "
                "what the intents announced was not checked",
                layout.SALT,
            )
            return
        for index in self._unfitting:
            self._problem(index, "what was signed is not what its intent announced: the inputs differ")
        if (more := self._unfitting_count - len(self._unfitting)) > 0:
            self._report.add(f"{more} more outcomes do not fit what their intents announced")

    def _problem(self, index: int, text: str) -> None:
        number = index // WIDTH
        width = min(WIDTH, self._report.size - number * WIDTH)
        self._report.add(text, layout.path(ENTRIES, number, width), index)
