"""What was added to a PDF after its signatures: asked of a process with limits, once, and only when it matters."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

_PROGRAM: Final = "segeld.ctl.audit_later_process"
_SECONDS: Final = 120.0
"""For a process that may have 60 seconds of a processor that others use as well."""
_WHY_SHOWN: Final = 300
Place = tuple[int, int, int, int]
"""A /ByteRange."""


@dataclass(frozen=True, slots=True)
class Later:
    """What came after one signature."""

    changed: str
    """Why the document is not what was signed, for people; empty if it is."""
    added: tuple[str, ...] = ()
    """What was added after the newest signature and changes nothing: a time stamp, validation data."""
    newest: Place = (0, 0, 0, 0)
    """Of the newest signature, which may be this one."""
    known: bool = True
    """False if it could not be found out, which counts as changed."""


class Additions:
    """Those of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def after(self, place: Place, signature: bytes) -> Later:
        """:param signature: SHA-256 of its value."""
        if isinstance(self._found, str):
            return Later(self._found, known=False)
        same = [
            one for one in self._found if one["range"] == [*place] and one["signature"] == signature.hex()
        ]
        if not same:
            return Later("the signature is not one of the document's form")
        # Of two that say they are the same, one was put in later.
        changed = next((one["changed"] for one in same if one["changed"]), "")
        first = same[0]
        return Later(
            " ".join(changed.split())[:_WHY_SHOWN],
            tuple(first["added"]),
            (first["newest"][0], first["newest"][1], first["newest"][2], first["newest"][3]),
        )

    @cached_property
    def _found(self) -> list[dict[str, Any]] | str:
        """What the process found, or why nothing."""
        try:
            with self._path.open("rb") as file:
                done = subprocess.run(
                    [sys.executable, "-P", "-m", _PROGRAM],
                    stdin=file,
                    capture_output=True,
                    timeout=_SECONDS,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return "reading it takes too long"
        except OSError as error:
            return (error.strerror or "the file cannot be read").lower()
        if done.returncode < 0:
            return "reading it takes too long, or more memory than is allowed"
        if done.returncode:
            return _reason(done.stderr)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


def _reason(traceback: bytes) -> str:
    """From the last line of it: "package.Kind: text"."""
    lines = traceback.decode(errors="replace").strip().splitlines() or [""]
    kind, _, text = lines[-1].partition(": ")
    if kind == "ModuleNotFoundError":
        return "pyHanko is not installed here: pip install 'segel[pdf]'"
    if kind == "MemoryError":
        return "reading it takes more memory than is allowed"
    plain = "".join(character for character in text or kind if character.isprintable())
    return f"pyHanko cannot read it ({plain[:_WHY_SHOWN].rstrip('.')})"
