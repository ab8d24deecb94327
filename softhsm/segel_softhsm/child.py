"""The parent's side of a child process that loads what the parent must not.

A child is exec'd, never forked, imports while the parent goes on, and takes requests from its standard input until
that closes, so it ends with its parent. It inherits the descriptor of the testbed's lock.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from segel_softhsm.errors import TestbedError
from segel_softhsm.script import Failure

_SOURCE_ROOT: Final = Path(__file__).resolve().parent.parent
_DEADLINE_SECONDS: Final = 100.0

Answer = TypeVar("Answer", bound=msgspec.Struct)


class Child:
    """A running `python -m segel_softhsm.NAME`; use it in a `with` statement."""

    def __init__(self, name: str, environment: Mapping[str, str], inherited: int) -> None:
        self._name = name
        path = os.pathsep.join(filter(None, (str(_SOURCE_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"segel_softhsm.{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment, "PYTHONPATH": path, "PYTHONUTF8": "1"},
            pass_fds=(inherited,),
            umask=0o077,
        )
        self._deadline = threading.Timer(_DEADLINE_SECONDS, self._process.kill)
        self._deadline.daemon = True
        self._deadline.start()

    def ask(self, request: msgspec.Struct, expected: type[Answer]) -> Answer:
        """Send a request and wait for its answer.

        :raises TestbedError: the child reports a failure, crashes, or takes too long.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = b""
        try:
            self._process.stdin.write(msgspec.json.encode(request) + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass  # it is gone: said below, with its last words
        if not line.endswith(b"\n"):
            raise TestbedError(self._last_words())
        try:
            return msgspec.json.decode(line, type=expected)
        except msgspec.ValidationError:
            raise TestbedError(msgspec.json.decode(line, type=Failure).text) from None

    def _last_words(self) -> str:
        assert self._process.stderr is not None
        self._process.kill()
        lines = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        code = self._process.wait()
        return (
            f"the child process {self._name} ended with {code}: {lines[-1] if lines else 'it said nothing'}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._deadline.cancel()
        if kind is not None:
            self._process.kill()
        self._process.communicate()
