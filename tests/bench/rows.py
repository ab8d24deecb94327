"""What a figure says: a value beside its reference, their ratio, and the goal for that ratio."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_MOST: Final = 64.0


@dataclass(frozen=True)
class Row:
    """One line of the table. `goal` is for `ratio`: at least that, or at most that."""

    name: str
    unit: str
    values: Sequence[float]
    """One for each round."""
    references: Sequence[float]
    """One for each round, or one for all."""
    how: str
    """What was measured and what stands beside it, for people."""
    goal: float | None = None
    at_most: bool = False
    ratio_of: float | None = None
    """The ratio, if it is not the median over the rounds."""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def reference(self) -> float:
        return statistics.median(self.references)

    @property
    def ratios(self) -> list[float]:
        if self.ratio_of is not None:
            return [self.ratio_of]
        if len(self.references) == len(self.values):
            return [value / reference for value, reference in zip(self.values, self.references, strict=True)]
        return [value / self.reference for value in self.values]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    @property
    def score(self) -> float | None:
        """How many times better than its goal: 1 is the goal itself."""
        return None if self.goal is None else self.scored(self.ratio)

    def scored(self, ratio: float) -> float:
        """The same for another ratio; no more than a picture can show."""
        assert self.goal is not None
        good, bad = (self.goal, ratio) if self.at_most else (ratio, self.goal)
        return _MOST if bad <= good / _MOST else max(good / bad, 1 / _MOST)

    @property
    def wish(self) -> str:
        """The goal in a word."""
        return "" if self.goal is None else f"{'<=' if self.at_most else '>='} {self.goal:.3g}"

    def record(self) -> dict[str, Any]:
        ratios = self.ratios
        return {
            "name": self.name,
            "value": rounded(self.value),
            "unit": self.unit,
            "reference": rounded(self.reference),
            "ratio": rounded(self.ratio),
            "goal": None if self.goal is None else rounded(self.goal),
            "met": self.met,
            "goal_is": None if self.goal is None else "at most" if self.at_most else "at least",
            "min": rounded(min(self.values)),
            "median": rounded(self.value),
            "max": rounded(max(self.values)),
            "reference_min": rounded(min(self.references)),
            "reference_max": rounded(max(self.references)),
            "ratio_min": rounded(min(ratios)),
            "ratio_max": rounded(max(ratios)),
            "rounds": len(self.values),
            "how": self.how,
            **self.facts,
        }


def rounded(number: float) -> float:
    """To five significant digits."""
    return float(f"{number:.5g}")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * share // 1) - 1))]
