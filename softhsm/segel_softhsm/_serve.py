"""The child's side: answer requests until standard input closes."""

import os
import sys
from collections.abc import Callable
from typing import TypeVar

import msgspec

from segel_softhsm.errors import TestbedError
from segel_softhsm.script import Failure

Request = TypeVar("Request", bound=msgspec.Struct)


def serve(expected: type[Request], answer: Callable[[Request], msgspec.Struct]) -> None:
    """Answer every request line. What the module or a library prints goes to standard error, not into the answers."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=expected)
        reply: msgspec.Struct
        try:
            reply = answer(request)
        except TestbedError as error:
            reply = Failure(str(error))
        answers.write(msgspec.json.encode(reply) + b"\n")
