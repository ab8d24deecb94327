"""The layers below know no fields of requests: says which one a fault of theirs is about."""

from collections.abc import Iterator
from contextlib import contextmanager

from segeld.model.faults import Fault, Reason


@contextmanager
def blame(field: str, *, offset: str | None = None) -> Iterator[None]:
    """Puts a field to faults that have none, and are about the request.

    :param offset: the field of an offset, if it is another one.
    """
    fields = {
        Reason.OFFSET_OUT_OF_RANGE: offset or field,
        Reason.JOB_TOO_LARGE: field,
        Reason.BATCH_EMPTY: field,
        Reason.ITEMS_CHANGED: field,
    }
    try:
        yield
    except Fault as fault:
        if fault.field is not None or fault.reason not in fields:
            raise
        named = fields[fault.reason]
        raise Fault(
            fault.reason, fault.text, field=named, retry_after=fault.retry_after, **fault.facts
        ) from None
