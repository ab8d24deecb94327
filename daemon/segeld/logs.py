"""Log lines: one structured event each, to stderr. Whatever logs in the standard way comes out in the same form."""

import contextlib
import logging
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any, Final, Literal

import structlog
from structlog.typing import Processor

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(level: Literal["debug", "info", "warning", "error"], form: Literal["json", "console"]) -> None:
    """Sets up logging for this process; called once, before anything logs.

    JSON escapes control characters and everything outside ASCII, so that no text of a client can forge a line.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering = _json() if form == "json" else _console()
    # Straight to the stream: by way of the standard library's handlers a line costs five times as much.
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    handler = _Handler()
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[strip, *rendering])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])


class _Lines:
    """Writes each event as one line, with one call. Every level is the same to it."""

    def __init__(self, name: str = "segeld") -> None:
        self.name: Final = name

    def msg(self, line: str) -> None:
        _write(line)

    debug = info = warning = error = critical = exception = msg


class _Handler(logging.Handler):
    """For the standard library's loggers. Its own StreamHandler would report a full stderr on that same stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # as logging does: whoever logs is not told
            with contextlib.suppress(ValueError):  # stderr is closed
                self.handleError(record)
        else:
            _write(line)


def _write(line: str) -> None:
    """A line that finds no room, or nobody who reads, is lost: what was to be logged goes on."""
    if sys.stderr is None:  # the daemon was started without one
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _json() -> Sequence[Processor]:
    return structlog.processors.format_exc_info, structlog.processors.JSONRenderer()


def _console() -> Sequence[Processor]:
    # Plain tracebacks: the richer ones print local variables, digests and PINs among them.
    plain = structlog.dev.plain_traceback
    colours = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
    return _printable, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For a terminal: what could move its cursor is shown, not sent."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = repr(value)[1:-1]
    return event
