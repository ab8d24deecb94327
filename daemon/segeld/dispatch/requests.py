"""Requests with an id that are being served: a repetition joins the first instead of being signed again."""

from segeld.dispatch.ticket import Ticket, content_of
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import Order


class OpenRequests:
    """By caller and id. What was served before is known to the store."""

    def __init__(self) -> None:
        self._tickets: dict[tuple[str, str], Ticket] = {}

    def same_as(self, order: Order) -> Ticket | None:
        """The ticket of an equal request that is being served.

        :raises Fault: IDEMPOTENCY_MISMATCH if the caller uses its id for something else.
        """
        ticket = self._tickets.get((order.caller, order.request_id)) if order.request_id else None
        if ticket is not None and ticket.content != content_of(order):
            raise mismatch(order.request_id)
        return ticket

    def enter(self, ticket: Ticket) -> None:
        if ticket.order.request_id:
            self._tickets[ticket.id] = ticket

    def leave(self, ticket: Ticket) -> None:
        if self._tickets.get(ticket.id) is ticket:
            del self._tickets[ticket.id]


def mismatch(request_id: str) -> Fault:
    return Fault(
        Reason.IDEMPOTENCY_MISMATCH,
        f"The request_id {request_id} was used for other inputs, another key or another algorithm; use a new one.",
        field="request_id",
        request_id=request_id,
    )
