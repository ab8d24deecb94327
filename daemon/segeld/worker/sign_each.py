"""Signing with a key that wants its PIN before every signature: C_SignInit, C_Login for it, C_Sign, one by one.

Slower by the keeper's answer, which makes the attempt durable first. A login that fails ends the worker: some cards
drop the login of the whole token with it (OpenSC then answers CKR_OPERATION_NOT_INITIALIZED to everything).
"""

import ctypes
import time
from collections.abc import Callable, Sized
from typing import Final

from segeld.ipc.pin_wire import LoginEnded, LoginOutcome
from segeld.ipc.worker_wire import ItemFailed, Remedy, Sign, Signed
from segeld.model.faults import Reason
from segeld.worker import faults
from segeld.worker.keys import Plan
from segeld.worker.reaffirm import Reaffirm
from segeld.worker.sign import (
    BAD_SIGNATURE,
    TOO_LATE,
    Clock,
    Desk,
    failed_with,
    not_begun,
    wrong_length,
)

_REASONS: Final = {
    LoginOutcome.REFUSED: Reason.PIN_INCORRECT,
    LoginOutcome.LOCKED: Reason.PIN_LOCKED,
    LoginOutcome.EXPIRED: Reason.PIN_EXPIRED,
    LoginOutcome.LENGTH: Reason.PIN_LENGTH,
}
_NO_PIN: Final = ItemFailed(Reason.TOKEN_NOT_ACTIVE, 0, Remedy.LOCK, certain=True)


def sign_each(
    request: Sign,
    plan: Plan,
    desk: Desk,
    reaffirm: Reaffirm,
    *,
    urgent: Sized,
    serve_urgent: Callable[[], None],
    clock: Clock = time.monotonic_ns,
) -> Signed:
    """As `sign`; `reaffirm` is called with the signature begun. The device is taken while it waits for the keeper."""
    outcomes: list[bytes | ItemFailed] = []
    device_ns = 0
    for data, deadline in zip(request.inputs, request.deadlines, strict=True):
        if urgent:
            serve_urgent()
        if not plan.algorithm.accepts(data):
            outcomes.append(wrong_length(plan.algorithm))
            continue
        begun = clock()
        if begun >= deadline:
            outcomes.append(TOO_LATE)
            continue
        outcome = _sign_one(plan, desk, reaffirm, data)
        device_ns += clock() - begun
        outcomes.append(outcome)
        if isinstance(outcome, ItemFailed) and outcome.remedy is not Remedy.ITEM:
            outcomes += [not_begun(outcome)] * (len(request.inputs) - len(outcomes))
            break
    return Signed(request.id, tuple(outcomes), device_ns)


def _sign_one(plan: Plan, desk: Desk, reaffirm: Reaffirm, data: bytes) -> bytes | ItemFailed:
    ckr = desk.sign_init(desk.session, plan.mechanism, plan.handle)
    if ckr:
        return failed_with(ckr, in_sign=False)
    ended = reaffirm()
    if ended is None:
        return _NO_PIN
    if ended.outcome is not LoginOutcome.OK:
        return _refused(ended)
    desk.length.value = plan.size
    message = plan.prefix + data
    ckr = desk.sign(
        desk.session, message, len(message), ctypes.addressof(desk.buffer), ctypes.addressof(desk.length)
    )
    if ckr:
        return failed_with(ckr, in_sign=True)
    signature = plan.check(bytes(memoryview(desk.buffer).cast("B")[: desk.length.value]), data)
    return BAD_SIGNATURE if signature is None else signature


def _refused(ended: LoginEnded) -> ItemFailed:
    """Nothing was signed."""
    if (reason := _REASONS.get(ended.outcome)) is not None:
        return ItemFailed(reason, ended.ckr, Remedy.LOCK, certain=True)
    if ended.ckr:
        verdict = faults.verdict(ended.ckr)
        remedy = Remedy.REPLACE if verdict.remedy is Remedy.ITEM else verdict.remedy
        return ItemFailed(verdict.reason, ended.ckr, remedy, certain=True)
    return ItemFailed(Reason.TOKEN_LOCKED, 0, Remedy.LOCK, certain=True)
