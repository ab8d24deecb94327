"""One by one what comes in blocks: results and jobs arrive many at a time."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import TypeVar, cast

T = TypeVar("T")


async def flat(blocks: AsyncIterator[Sequence[T]]) -> AsyncIterator[T]:
    """Each of each block, in order."""
    async with aclosing(cast("AsyncGenerator[Sequence[T]]", blocks)):
        async for block in blocks:
            for one in block:
                yield one
