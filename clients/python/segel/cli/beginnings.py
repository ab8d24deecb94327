"""Names that nobody can remember, hashes and random ones: shortened for people, and found again by their beginnings."""

import re
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final

from segel.cli.failures import UsageError

if TYPE_CHECKING:
    from segel import Job, Key

SHORTEST: Final = 8
"""Hexadecimal digits of a beginning."""
MOST_JOBS: Final = 10_000
"""Jobs among which one is looked for."""
_NAMED: Final = 5
"""Candidates that are named."""
_BEGINNING: Final = re.compile(r"keys/sha256-[0-9a-f]{8,63}|jobs/[0-9a-f]{8,31}")
_WHOLE: Final = re.compile(r"(?:keys/(sha256-)|jobs/())([0-9a-f]+)")


def shortened(names: Collection[str]) -> dict[str, str]:
    """Each name without its collection, as short as it can be told from the others."""
    digits = sorted({found[3] for name in names if (found := _WHOLE.fullmatch(name))})
    longest = max(map(_shared, digits, digits[1:]), default=0)
    return {name: _short(name, max(SHORTEST, longest + 1)) for name in names}


def _shared(first: str, second: str) -> int:
    """How many digits they begin with alike."""
    return next((at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), 0)


def _short(name: str, length: int) -> str:
    found = _WHOLE.fullmatch(name)
    if found is None or len(found[3]) <= length:
        return name
    return f"{found[1] or ''}{found[3][:length]}…"


def is_beginning(name: str) -> bool:
    """Whether it may be one: of a key with its collection ``keys/``, or of a job with ``jobs/``."""
    return _BEGINNING.fullmatch(name.removesuffix("…")) is not None


def require_whole(name: str, *, yes: bool) -> None:
    """Before something that cannot be undone: what a beginning stands for is shown to somebody, or it is not taken.

    :param yes: whether nobody is asked.
    :raises UsageError:
    """
    if yes and is_beginning(name) and not _is_on_a_terminal():
        raise UsageError(f"{name} is no whole name; with --yes, and without a terminal, give all of it")


def _is_on_a_terminal() -> bool:
    return sys.stdin.isatty()


def whole(name: str, names: Iterable[str], aliases: Collection[str] = ()) -> str:
    """The only name that begins so; the same name if it is none of a beginning, or if nothing begins so.

    :raises UsageError: if several do.
    """
    if not is_beginning(name) or name in aliases:
        return name
    begun = name.removesuffix("…")
    found = sorted({each for each in names if each.startswith(begun)})
    if len(found) > 1:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise UsageError(f"{len(found)} names begin with {begun}: {', '.join(found[:_NAMED])}{more}")
    return found[0] if found else begun


async def whole_key(name: str, keys: Callable[[], Awaitable[Iterable["Key"]]]) -> str:
    """:param keys: asked only for a beginning.
    :raises UsageError: if several keys begin so.
    """
    if not is_beginning(name):
        return name
    there = tuple(await keys())
    return whole(name, (key.name for key in there), {alias for key in there for alias in key.aliases})


async def whole_job(name: str, jobs: Callable[[], AsyncIterable["Job"]]) -> str:
    """:param jobs: asked only for a beginning.
    :raises UsageError: if several jobs begin so.
    """
    if not is_beginning(name):
        return name
    return whole(name, [job.name async for job in jobs()])
