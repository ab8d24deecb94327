"""Lines for the front's log: one JSON object each, on stderr. Never a PIN, never a digest."""

import os
import traceback
from typing import Final

import msgspec

_STDERR: Final = 2


def say(event: str, **facts: str | int) -> None:
    """One write, so that lines of several threads do not mix. A full or closed stderr is nobody's trouble here."""
    try:
        os.write(_STDERR, msgspec.json.encode({"event": event, **facts}) + b"\n")
    except OSError:
        return


def place(error: BaseException) -> str:
    """Where it was raised: module and line. Its text is left out, for it may repeat what it was given."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:]))
