"""PINs out of messages. What gRPC and protobuf made of them on the way cannot be wiped from Python: it is freed with
the call, and core files of the front are off.
"""

from google.protobuf.message import Message

from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin, PinLengthError


def take(request: Message, field: str) -> Pin | None:
    """The field as a Pin, and the field cleared; None if it is empty.

    :raises Fault: PIN_LENGTH.
    """
    value: bytes = getattr(request, field)
    try:
        return Pin(value) if value else None
    except PinLengthError as error:
        raise Fault(Reason.PIN_LENGTH, f"{error}.".replace("a PIN", "A PIN", 1), field=field) from None
    finally:
        request.ClearField(field)


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
