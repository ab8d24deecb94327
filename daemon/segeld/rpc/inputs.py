"""What callers want signed: checked input by input, a million digests in less than half a second."""

from collections.abc import Sequence
from typing import Final

from segel.v1 import signing_pb2
from segeld.model.algorithm import MAX_MESSAGE, Algorithm
from segeld.model.faults import Fault, Reason
from segeld.model.job import Items
from segeld.rpc.convert import invalid

MAX_ID: Final = 128
"""Octets of an input's id."""


def check_count(count: int, max_batch: int, field: str) -> None:
    """:raises Fault: BATCH_EMPTY, BATCH_TOO_LARGE."""
    check_some(count, field)
    if count > max_batch:
        raise Fault(
            Reason.BATCH_TOO_LARGE,
            f"{field}: {count} are more than the {max_batch} that one request may hold; split it.",
            field=field,
            count=str(count),
            maximum=str(max_batch),
        )


def check_some(count: int, field: str) -> None:
    """:raises Fault: BATCH_EMPTY."""
    if not count:
        raise Fault(Reason.BATCH_EMPTY, f"{field}: there is nothing to sign.", field=field)


def checked(
    messages: Sequence[signing_pb2.SignInput], wanted: Algorithm, field: str, before: int | None = None
) -> Items:
    """What to sign, in order. One wrong input refuses all: nothing of the request is taken.

    :param before: items that the job has before these: the fault then tells where in the job the wrong one stands.
    :raises Fault: what is wrong with the first wrong input.
    """
    size = wanted.digest_size
    taken: list[bytes] = []
    ids: list[str] = []
    take, name, named = taken.append, ids.append, False
    # A message costs 0.2 µs to look at, so the loop asks as little as it can: a field of the right length is set.
    for message in messages:
        data = message.message if size is None else message.digest
        text = message.id
        fits = len(data) == size if size is not None else 0 < len(data) <= MAX_MESSAGE
        if not fits or len(text) > MAX_ID // 4:
            try:
                _look_closer(message, wanted, f"{field}[{len(taken)}]")
            except Fault as fault:
                if before is not None:
                    fault.facts["offset"] = str(before + len(taken))
                raise
        if text:
            named = True
        take(data)
        name(text)
    return Items(tuple(taken), tuple(ids) if named else ())


def _look_closer(message: signing_pb2.SignInput, wanted: Algorithm, field: str) -> None:
    """Says what is wrong with one input, if anything is (a message of Ed25519 may be empty, an id long)."""
    kind = message.WhichOneof("input")
    right = "message" if wanted.digest_size is None else "digest"
    if kind != right:
        got = f"a {kind}" if kind else "nothing"
        raise Fault(
            Reason.INPUT_KIND,
            f"{field}: {wanted.name} signs a {right}, not {got}.",
            field=f"{field}.{right}",
        )
    if len(message.message) > MAX_MESSAGE:
        raise Fault(
            Reason.MESSAGE_TOO_LONG,
            f"{field}: a message of {len(message.message)} octets; {MAX_MESSAGE} is the limit.",
            field=f"{field}.message",
            got=str(len(message.message)),
            maximum=str(MAX_MESSAGE),
        )
    if wanted.digest_size is not None and len(message.digest) != wanted.digest_size:
        raise Fault(
            Reason.DIGEST_LENGTH,
            f"{field}: a digest of {len(message.digest)} octets; {wanted.name} signs {wanted.digest_size}.",
            field=f"{field}.digest",
            expected=str(wanted.digest_size),
            got=str(len(message.digest)),
        )
    if len(message.id.encode()) > MAX_ID:
        raise invalid(f"{field}.id", f"is longer than {MAX_ID} octets")
