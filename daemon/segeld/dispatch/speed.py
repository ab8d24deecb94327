"""How many inputs make a chunk: what the token was measured to sign in about 20 ms."""

from typing import Final

from segeld.dispatch.ticket import Kind
from segeld.model.names import TokenName

CHUNK_SECONDS: Final = 0.02
MAX_CHUNK: Final = 256
_FIRST_CHUNK: Final = 8
_SMOOTHING: Final = 0.25


class Speed:
    """Seconds of one signature, by token and kind: an average in which the last chunk counts a quarter."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[TokenName, Kind], float] = {}

    def measured(self, token: TokenName, kind: Kind, count: int, seconds: float) -> None:
        each = seconds / count
        before = self._seconds.get((token, kind), each)
        self._seconds[token, kind] = before + _SMOOTHING * (each - before)

    def chunk_size(self, token: TokenName, kind: Kind) -> int:
        each = self._seconds.get((token, kind))
        if each is None:
            return _FIRST_CHUNK
        return max(1, min(MAX_CHUNK, int(CHUNK_SECONDS / each))) if each > 0 else MAX_CHUNK
