"""One difference between two policies."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    text: str
    """For people, one line."""
    widens: bool
    """Whether it gives somebody more than before."""


def wider(text: str) -> Difference:
    return Difference(text, widens=True)


def narrower(text: str) -> Difference:
    return Difference(text, widens=False)
