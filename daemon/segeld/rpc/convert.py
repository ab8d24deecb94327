"""Messages to values and back: pure, and the only place that knows both. A fault names the field it lies in."""

from collections.abc import Iterable, Sequence
from typing import Final

from segel.v1 import resources_pb2, signing_pb2
from segeld.model.algorithm import BY_NUMBER, MAX_MESSAGE, Algorithm, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.names import Alias, BadName, KeyName, TokenName, is_request_id, parse_key_or_alias
from segeld.rpc.status import item_status

MAX_NAME: Final = 128
"""Characters of a name; one that is longer is not even quoted."""
MAX_ID: Final = 128
"""Octets of an input's id."""

_ENCODINGS: Final = {
    resources_pb2.ECDSA_ENCODING_UNSPECIFIED: EcdsaEncoding.DER,
    resources_pb2.ECDSA_ENCODING_DER: EcdsaEncoding.DER,
    resources_pb2.ECDSA_ENCODING_P1363: EcdsaEncoding.P1363,
}


def invalid(field: str, text: str) -> Fault:
    return Fault(Reason.FIELD_INVALID, f"{field}: {text}.", field=field)


def key_or_alias(text: str, field: str) -> KeyName | Alias:
    """:raises Fault: FIELD_INVALID."""
    _name_length(text, field)
    try:
        return parse_key_or_alias(text)
    except BadName as error:
        raise invalid(field, str(error)) from None


def token_name(text: str, field: str) -> TokenName:
    """:raises Fault: FIELD_INVALID."""
    _name_length(text, field)
    if not text.startswith("tokens/"):
        raise invalid(field, f"{text!r} is no token: it begins with tokens/")
    try:
        return TokenName.parse(text)
    except BadName as error:
        raise invalid(field, str(error)) from None


def algorithm(number: int, field: str) -> Algorithm:
    """:raises Fault: ALGORITHM_UNKNOWN."""
    found = BY_NUMBER.get(number)
    if found is None:
        text = "is missing" if number == 0 else f"{number} is not known to this daemon"
        raise Fault(Reason.ALGORITHM_UNKNOWN, f"{field}: {text}.", field=field, algorithm=str(number))
    return found


def to_number(algorithm: Algorithm) -> resources_pb2.SignatureAlgorithm.ValueType:
    return resources_pb2.SignatureAlgorithm.Value(f"SIGNATURE_ALGORITHM_{algorithm.name}")


def encoding(number: int, field: str) -> EcdsaEncoding:
    """:raises Fault: FIELD_INVALID."""
    found = _ENCODINGS.get(number)  # type: ignore[call-overload]  # an open enum: any number may arrive
    if found is None:
        raise invalid(field, f"{number} is not known to this daemon")
    return found  # type: ignore[no-any-return]


def request_id(text: str, field: str) -> str:
    """An id that may be left out.

    :raises Fault: FIELD_INVALID.
    """
    if text and not is_request_id(text):
        raise invalid(field, "is not 1 to 128 of A-Z a-z 0-9 . _ : -")
    return text


def check_count(count: int, max_batch: int, field: str) -> None:
    """:raises Fault: BATCH_EMPTY, BATCH_TOO_LARGE."""
    if not count:
        raise Fault(Reason.BATCH_EMPTY, f"{field}: there is nothing to sign.", field=field)
    if count > max_batch:
        raise Fault(
            Reason.BATCH_TOO_LARGE,
            f"{field}: {count} are more than the {max_batch} that one request may hold; split it.",
            field=field,
            count=str(count),
            maximum=str(max_batch),
        )


def inputs(
    messages: Sequence[signing_pb2.SignInput], wanted: Algorithm, max_batch: int, field: str
) -> tuple[bytes, ...]:
    """What to sign, in order. One wrong input refuses all: nothing of the request is signed.

    :raises Fault: BATCH_EMPTY, BATCH_TOO_LARGE, or what is wrong with the first wrong input.
    """
    check_count(len(messages), max_batch, field)
    size = wanted.digest_size
    taken: list[bytes] = []
    take = taken.append
    # A message costs 0.2 µs to look at, so the loop asks as little as it can: a field of the right length is set.
    for message in messages:
        data = message.message if size is None else message.digest
        fits = len(data) == size if size is not None else 0 < len(data) <= MAX_MESSAGE
        if not fits or len(message.id) > MAX_ID // 4:
            _look_closer(message, wanted, f"{field}[{len(taken)}]")
        take(data)
    return tuple(taken)


def _look_closer(message: signing_pb2.SignInput, wanted: Algorithm, field: str) -> None:
    """Says what is wrong with one input, if anything is (a message of Ed25519 may be empty, an id long)."""
    kind = message.WhichOneof("input")
    right = "message" if wanted.digest_size is None else "digest"
    if kind != right:
        got = f"a {kind}" if kind else "nothing"
        raise Fault(
            Reason.INPUT_KIND, f"{field}: {wanted.name} signs a {right}, not {got}.", field=f"{field}.{right}"
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


def response(
    messages: Sequence[signing_pb2.SignInput], outcomes: Iterable[bytes | Fault], key: KeyName
) -> signing_pb2.SignResponse:
    """The answer to a request: for each input its id and what came of it."""
    answer = signing_pb2.SignResponse(key=str(key))
    add = answer.results.add
    faults: dict[int, bytes] = {}
    for message, outcome in zip(messages, outcomes, strict=True):
        result = add()
        if message.id:
            result.id = message.id
        if isinstance(outcome, Fault):
            # One fault often ends a whole batch: it is written out once.
            wire = faults.get(id(outcome))
            if wire is None:
                wire = faults[id(outcome)] = item_status(outcome).SerializeToString()
            result.error.ParseFromString(wire)
        else:
            result.signature = outcome
    return answer


def _name_length(text: str, field: str) -> None:
    if len(text) > MAX_NAME:
        raise invalid(field, f"a name of {len(text)} characters; {MAX_NAME} is the limit")
