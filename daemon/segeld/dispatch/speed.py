"""How long a signature takes on a token, and so how many inputs make a chunk."""

from typing import Final

from segeld.dispatch.fairness import CHUNK_SECONDS
from segeld.model.kind import Kind
from segeld.model.names import TokenName
from segeld.model.priority import Priority

MAX_CHUNK: Final = 256
_FIRST_CHUNK: Final = 8
_FIRST_GUESS: Final = 0.002
_SMOOTHING: Final = 0.25


class Speed:
    """Seconds of one signature, by token and kind: an average in which the last chunk counts a quarter."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[TokenName, Kind], float] = {}

    def measured(self, token: TokenName, kind: Kind, count: int, seconds: float) -> None:
        each = seconds / count
        before = self._seconds.get((token, kind), each)
        self._seconds[token, kind] = before + _SMOOTHING * (each - before)

    def seconds(self, token: TokenName, kind: Kind) -> float:
        """Of one signature: measured, or a guess."""
        return self._seconds.get((token, kind), _FIRST_GUESS)

    def chunk_size(self, token: TokenName, kind: Kind, priority: Priority) -> int:
        each = self._seconds.get((token, kind))
        if each is None:
            return _FIRST_CHUNK
        return max(1, min(MAX_CHUNK, int(CHUNK_SECONDS[priority] / each))) if each > 0 else MAX_CHUNK
