"""What operators read: log lines that nobody can forge, and figures over HTTP."""

import json
import logging
import os
import socketserver
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from segeld import logs
from segeld.rpc.metrics import CallMetrics, serve_metrics


@pytest.fixture
def configured():
    """Configures logging and puts everything back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield logs.configure
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


EVIL = 'x"\r\n{"event": "forged"}\x1b[2J\u202e'


@pytest.mark.parametrize("standard", [True, False])
def test_a_line_of_json_cannot_be_forged(configured, capsys, standard):
    configured("info", "json")
    structlog.contextvars.bind_contextvars(request_id="r1")
    if standard:
        logging.getLogger("vendor").warning("%s", EVIL)
    else:
        structlog.get_logger("segeld.test").warning(EVIL, key=EVIL)
    text = capsys.readouterr().err
    assert text.isascii()
    (line,) = text.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["request_id"]) == (EVIL, "warning", "r1")


def test_a_line_for_a_terminal_moves_no_cursor(configured, capsys):
    configured("info", "console")
    structlog.get_logger("segeld.test").warning("event", key=EVIL)
    text = capsys.readouterr().err
    assert len(text.splitlines()) == 1
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_local_variables(configured, capsys, form):
    configured("info", form)
    digest = "canary-8472"
    try:
        int(digest[:3])
    except ValueError as error:
        structlog.get_logger("segeld.test").error("failed", exc_info=error)
    text = capsys.readouterr().err
    assert "ValueError" in text
    assert "canary-8472" not in text


def test_what_is_below_the_level_is_not_written(configured, capsys):
    configured("warning", "json")
    structlog.get_logger("segeld.test").info("quiet")
    logging.getLogger("vendor").info("quiet")
    assert not capsys.readouterr().err


LOGS = """
import logging, sys, structlog
from segeld import logs
logs.configure("info", sys.argv[1])
if sys.argv[2:] == ["closed"]:
    sys.stderr.close()
for _ in range(1000):  # more than a buffer holds
    structlog.get_logger("segeld.test").info("event", key="x" * 100)
    logging.getLogger("vendor").warning("event %s", "x" * 100)
logging.getLogger("vendor").warning("%d", "no number")
print("goes on", flush=True)
"""


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("stderr", ["full", "closed", "nobody reads", "none"])
def test_a_stderr_that_takes_nothing_ends_nothing(form, stderr):
    reading, writing = os.pipe()
    os.close(reading)
    with Path("/dev/full").open("wb") as full, os.fdopen(writing, "wb") as deaf:
        shell = 'exec "$@" 2>&-' if stderr == "none" else 'exec "$@"'
        done = subprocess.run(
            ["sh", "-c", shell, "sh", sys.executable, "-c", LOGS, form, stderr],
            stdout=subprocess.PIPE,
            stderr={"full": full, "nobody reads": deaf}.get(stderr, subprocess.DEVNULL),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
            check=False,
        )
    assert done.stdout == b"goes on\n"
    # 120 is Python's own word, at the very end, for a standard stream that could not be flushed.
    assert done.returncode in {0, 120}


def test_figures_are_served_until_closed(monkeypatch):
    # How often its thread looks whether it is to end: nobody waits for that.
    monkeypatch.setattr(socketserver.BaseServer.serve_forever, "__defaults__", (3600.0,))
    registry = CollectorRegistry()
    CallMetrics(registry).streams.set(3)
    port, close = serve_metrics("127.0.0.1:0", registry)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert b"segel_rpc_streams 3.0" in answer.read()
    close()
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)
