"""testbed.json: what it holds, and how it is read and written. Its paths are relative, so that a testbed can be moved."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from segel_softhsm import layout
from segel_softhsm.parts import TestPki, TestToken

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What testbed.json holds."""

    tokens: tuple[TestToken, ...]
    pki: TestPki
    version: int = VERSION


def read_record(directory: Path) -> Record | None:
    """Read testbed.json; None if it is missing, broken or of another version, which all mean: start over."""

    def absolute(_: type, text: str) -> Path:
        return directory / text

    try:
        raw = (directory / layout.DESCRIPTION).read_bytes()
        record = msgspec.json.decode(raw, type=Record, dec_hook=absolute)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None
    return record if record.version == VERSION else None


def write_record(directory: Path, record: Record) -> None:
    """Write testbed.json at once: the last act of every change."""

    def relative(value: Any) -> str:
        return str(value.relative_to(directory))

    content = msgspec.json.format(msgspec.json.encode(record, enc_hook=relative)) + b"\n"
    layout.replace(directory / layout.DESCRIPTION, content)
