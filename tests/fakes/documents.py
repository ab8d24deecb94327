"""The documentation, as tests read it."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def letters(folder: Path) -> list[Path]:
    sys.path.insert(0, str(ROOT / "tests/demo"))
    try:
        from letters import write_letters
    finally:
        sys.path.pop(0)
    return write_letters(folder)
