"""What came of inputs, as messages: the same for an answer and for a job's results."""

from collections.abc import Sequence
from typing import Protocol

from segel.v1 import signing_pb2
from segeld.model.faults import Fault
from segeld.model.job import Failure, Signature
from segeld.rpc.status import item_status


class Adding(Protocol):
    """A repeated field of results."""

    def add(self) -> signing_pb2.SignResult: ...


def add(field: Adding, ids: Sequence[str], outcomes: Sequence[Signature | Failure | Fault]) -> None:
    """For each input its id and what came of it.

    :param ids: as many as outcomes, or none if every id is empty.
    """
    new = field.add
    written: dict[Failure | Fault, bytes] = {}
    for text, outcome in zip(ids or ("",) * len(outcomes), outcomes, strict=True):
        result = new()
        if text:
            result.id = text
        if isinstance(outcome, Signature):
            result.signature = outcome.value
            result.leaf_index = outcome.receipt.leaf
            result.leaf_position = outcome.receipt.position
        else:
            # One reason often ends a whole batch: it is written out once.
            wire = written.get(outcome)
            if wire is None:
                wire = written[outcome] = item_status(_fault(outcome)).SerializeToString()
            result.error.ParseFromString(wire)


def _fault(outcome: Failure | Fault) -> Fault:
    return outcome if isinstance(outcome, Fault) else Fault(outcome.reason, outcome.text)
