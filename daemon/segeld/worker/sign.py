"""The signing loop: for each input one C_SignInit, one C_Sign, one verification. Nothing else may cost time here.

First a chunk is signed, then it is verified. In turn, the module's and our own tables would push each other out of the
processor's cache: a chunk of a soft token (P-256) took 15 % longer.

`Desk` is one session and the thread that owns it; `sign` answers a chunk. Around the two calls of the module and
the verification the loop itself costs a few microseconds an item, so plain locals are used throughout.
"""

import ctypes
import time
from collections.abc import Callable, Sized
from typing import Final

from segeld.ipc.worker_wire import ItemFailed, Remedy, Sign, Signed
from segeld.model.algorithm import Algorithm
from segeld.model.faults import Reason
from segeld.worker import faults
from segeld.worker.cryptoki import Cryptoki
from segeld.worker.keys import Plan

_BUFFER: Final = 1024
"""Octets; the longest signature is 512."""

BAD_SIGNATURE: Final = ItemFailed(Reason.SIGNATURE_SELF_CHECK_FAILED, 0, Remedy.ITEM, certain=False)
TOO_LATE: Final = ItemFailed(Reason.DEADLINE_PASSED, 0, Remedy.ITEM, certain=True)
_WRONG_LENGTH: Final = ItemFailed(Reason.DIGEST_LENGTH, 0, Remedy.ITEM, certain=True)
_TOO_LONG: Final = ItemFailed(Reason.MESSAGE_TOO_LONG, 0, Remedy.ITEM, certain=True)

Clock = Callable[[], int]


class Desk:
    """A session's signing functions, and the buffer its signatures are written to."""

    __slots__ = ("buffer", "length", "session", "sign", "sign_init")

    def __init__(self, module: Cryptoki, session: int) -> None:
        self.session: Final = session
        self.sign_init: Final = module.sign_init
        self.sign: Final = module.sign
        self.buffer: Final = (ctypes.c_ubyte * _BUFFER)()
        self.length: Final = ctypes.c_ulong()


def sign(
    request: Sign,
    plan: Plan,
    desk: Desk,
    *,
    urgent: Sized,
    serve_urgent: Callable[[], None],
    clock: Clock = time.monotonic_ns,
) -> Signed:
    """Answers a chunk, in the order of its inputs.

    :param urgent: looked at between any two signatures or verifications; when something is in it,
    :param serve_urgent: is called, which may use the session.
    :param clock: CLOCK_MONOTONIC in nanoseconds, as the request's deadlines.
    """
    sign_init, c_sign, session, length = desk.sign_init, desk.sign, desk.session, desk.length
    buffer, written = ctypes.addressof(desk.buffer), ctypes.addressof(length)
    octets = memoryview(desk.buffer).cast("B")
    mechanism, handle, size, prefix, check = plan.mechanism, plan.handle, plan.size, plan.prefix, plan.check
    accepts = plan.algorithm.accepts
    outcomes: list[bytes | ItemFailed] = []
    """What C_Sign gave, until it is verified below."""
    device_ns = 0
    for data, deadline in zip(request.inputs, request.deadlines, strict=True):
        if urgent:
            serve_urgent()
        if not accepts(data):
            outcomes.append(wrong_length(plan.algorithm))
            continue
        begun = clock()
        if begun >= deadline:
            outcomes.append(TOO_LATE)
            continue
        length.value = size
        ckr = sign_init(session, mechanism, handle)
        in_sign = ckr == 0
        if in_sign:
            message = prefix + data
            ckr = c_sign(session, message, len(message), buffer, written)
        device_ns += clock() - begun
        if ckr == 0:
            outcomes.append(bytes(octets[: length.value]))
            continue
        outcomes.append(failed := failed_with(ckr, in_sign=in_sign))
        if failed.remedy is not Remedy.ITEM:
            outcomes += [not_begun(failed)] * (len(request.inputs) - len(outcomes))
            break
    for place, (given, data) in enumerate(zip(outcomes, request.inputs, strict=True)):
        if urgent:
            serve_urgent()
        if isinstance(given, bytes):
            signature = check(given, data)
            outcomes[place] = BAD_SIGNATURE if signature is None else signature
    return Signed(request.id, tuple(outcomes), device_ns)


def not_begun(failed: ItemFailed) -> ItemFailed:
    """What the rest answers after a failure that ends the worker."""
    return ItemFailed(failed.reason, failed.ckr, failed.remedy, certain=True, begun=False)


def refused(request: Sign, failed: ItemFailed) -> Signed:
    """Nothing of a chunk was begun."""
    return Signed(request.id, (failed,) * len(request.inputs), 0)


def failed_with(ckr: int, *, in_sign: bool) -> ItemFailed:
    verdict = faults.verdict(ckr)
    return ItemFailed(verdict.reason, ckr, verdict.remedy, certain=verdict.certain or not in_sign)


def wrong_length(algorithm: Algorithm) -> ItemFailed:
    return _TOO_LONG if algorithm.digest_size is None else _WRONG_LENGTH
