"""PINs out of messages. What gRPC and protobuf made of them on the way cannot be wiped from Python: it is freed with
the call, and core files of the front are off.
"""

from google.protobuf.message import Message

from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin, PinLengthError, is_typeable


def take(request: Message, field: str) -> Pin | None:
    """The field as a Pin, and the field cleared; None if it is empty.

    :raises Fault: PIN_LENGTH; PIN_INVALID for a new one that nobody could type.
    """
    value: bytes = getattr(request, field)
    try:
        pin = Pin(value) if value else None
    except PinLengthError as error:
        raise Fault(Reason.PIN_LENGTH, f"{error}.".replace("a PIN", "A PIN", 1), field=field) from None
    finally:
        request.ClearField(field)
    if pin is not None and field == "new_pin" and not is_typeable(value):
        pin.wipe()
        raise Fault(
            Reason.PIN_INVALID,
            "The new PIN has a line end or another control character in it, so that nobody could type it. Nothing was done.",
            field=field,
        )
    return pin


def _required(request: Message, field: str) -> Pin:
    pin = take(request, field)
    if pin is None:
        raise Fault(Reason.PIN_LENGTH, f"{field}: is missing.", field=field)
    return pin


def take_both(request: Message, first: str, second: str) -> tuple[Pin, Pin]:
    """Two that are required. Both fields are cleared, whatever comes of it.

    :raises Fault: PIN_LENGTH.
    """
    taken: list[Pin] = []
    try:
        for field in (first, second):
            taken.append(_required(request, field))  # noqa: PERF401 - what was taken is wiped if the next is missing
    except Fault:
        for pin in taken:
            pin.wipe()
        raise
    finally:
        request.ClearField(second)
    return taken[0], taken[1]
