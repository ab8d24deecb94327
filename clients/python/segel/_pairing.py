"""Items whose ids come from a row of their own."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable

from segel._chunks import Item


def paired(
    items: Iterable[Item] | AsyncIterable[Item], ids: Iterable[str] | None
) -> Iterable[Item] | AsyncIterable[Item]:
    """Each item with its id. Reading it raises ValueError where one of them ends before the other."""
    if ids is None:
        return items
    if isinstance(items, AsyncIterable):
        return _paired_later(items, ids)
    return ((name, _bare(item)) for name, item in zip(ids, items, strict=True))


async def _paired_later(items: AsyncIterable[Item], ids: Iterable[str]) -> AsyncIterator[Item]:
    names = iter(ids)
    async for item in items:
        name = next(names, None)
        if name is None:
            raise ValueError("there are fewer ids than items")
        yield name, _bare(item)
    if next(names, None) is not None:
        raise ValueError("there are more ids than items")


def _bare(item: Item) -> bytes:
    if isinstance(item, tuple):
        raise TypeError("ids come with the items or by themselves, not both")
    return item
