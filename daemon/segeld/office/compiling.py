"""How a policy's text becomes rules without holding up who signs.

Most of the time goes into reading TOML, which is pure Python: that is done in a process of its own. The rest is done in a
thread that gives way to the event loop much sooner than threads do by themselves.
"""

import asyncio
import contextlib
import gc
import json
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from segeld import policy
from segeld.config.strict import Problem
from segeld.policy import Policy

_SWITCH: Final = 0.0005
"""Seconds after which the thread gives way; 5 ms by default, and the loop waits for it at every step."""
_SMALL: Final = 16 * 1024
"""Octets of a text that is read sooner than a process is started."""
_PATIENCE: Final = 20.0
"""Seconds for the process that reads."""
_READER: Final = """\
import json, os, sys, tomllib
os.nice(10)
json.dump(tomllib.loads(sys.stdin.buffer.read().decode()), sys.stdout)
"""

T = TypeVar("T")
_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A text and what it comes to. With problems, the rules must not be used."""

    toml: str
    policy: Policy
    problems: tuple[Problem, ...]


def compile_text(toml: str) -> Compiled:
    """Here and now: at start, when nobody signs yet."""
    return _compiled(toml, *policy.parse(toml))


async def compile_aside(toml: str) -> Compiled:
    """While the event loop goes on."""
    tables = await _read_elsewhere(toml) if len(toml) > _SMALL else None
    if tables is None:  # a fault, or too small: `parse` knows the words
        return await aside(lambda: compile_text(toml))
    return await aside(lambda: _compiled(toml, *policy.compile_tables(json.loads(tables))))


def _compiled(toml: str, rules: Policy, problems: list[Problem]) -> Compiled:
    return Compiled(toml, rules, tuple(problems or policy.staffing(rules)))


async def _read_elsewhere(toml: str) -> bytes | None:
    """The tables as JSON; None if the text has faults, or there is no process to be had."""
    data = toml.encode(errors="surrogateescape")
    if len(data) > policy.MAX_POLICY:
        return None
    try:
        reader = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            "-c",
            _READER,
            stdin=PIPE,
            stdout=PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        _log.warning("a policy is read here, as no process can be started", why=str(error))
        return None
    try:
        async with asyncio.timeout(_PATIENCE):
            answer, _ = await reader.communicate(data)
    except TimeoutError:
        return None
    finally:
        if reader.returncode is None:
            reader.kill()
            await reader.wait()
    return answer if reader.returncode == 0 else None


async def aside(work: Callable[[], T]) -> T:
    """Runs it in a thread while the event loop goes on: it never waits longer than a moment for the interpreter."""
    return await asyncio.to_thread(_giving_way, work)


def _giving_way(work: Callable[[], T]) -> T:
    with _short_turns():
        return work()


_turns: Final = threading.Lock()


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """One at a time, because the interval is the interpreter's."""
    with _turns:
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH)
        gc.disable()  # of ten thousand new objects none is garbage, and everything would wait while it looks
        try:
            yield
        finally:
            gc.enable()
            sys.setswitchinterval(before)
