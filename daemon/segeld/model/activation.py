"""How long one activation of a token lasts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What an officer allows when the PIN is typed; None is as much as comes."""

    seconds: float | None = None
    signatures: int | None = None

    def __bool__(self) -> bool:
        return self.seconds is not None or self.signatures is not None


NO_LIMITS = Limits()
