"""How long one activation of a token lasts."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """What an officer allows when the PIN is typed; None is as much as comes."""

    seconds: float | None = None
    signatures: int | None = None

    def __bool__(self) -> bool:
        return self.seconds is not None or self.signatures is not None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Reserved:
    """Signatures that one activation set aside; none if it is false."""

    count: int
    activation: int
    """Which of the token's activations in this run of the daemon: only that one takes back what is left of them."""

    def __bool__(self) -> bool:
        return self.count > 0

    def only(self, count: int) -> "Reserved":
        """So many of them."""
        return replace(self, count=min(count, self.count))

    def beyond(self, count: int) -> "Reserved":
        """All but so many."""
        return replace(self, count=max(0, self.count - count))
