"""How a subcommand's modules are imported: a third of a daemon's start, and nothing of it is ever garbage."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quickly() -> Iterator[None]:
    """Within it the collector rests, and structlog is imported without rich: it is for tracebacks that are not used here.

    Whoever needs rich imports it afterwards.
    """
    collected = gc.isenabled()
    gc.disable()
    without = "rich" not in sys.modules
    if without:
        sys.modules["rich"] = None  # type: ignore[assignment]  # what Python takes for "not there"
    try:
        import structlog  # noqa: F401

        if without:
            del sys.modules["rich"]
        yield
    finally:
        if without and sys.modules.get("rich", "") is None:  # structlog is not there at all
            del sys.modules["rich"]
        if collected:
            gc.enable()
