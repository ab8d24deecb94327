"""Fields to values and back: pure. What is asked everywhere stands here. A fault names the field it lies in."""

from typing import Final

from segel.v1 import resources_pb2
from segeld.model.algorithm import BY_NUMBER, Algorithm, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.names import Alias, BadName, KeyName, TokenName, is_request_id, parse_key_or_alias

MAX_NAME: Final = 128
"""Characters of a name; one that is longer is not even quoted."""
LARGEST_PAGE: Final = 1000
_PAGE: Final = 100
"""Entries of a page, if the client does not say how many."""

_ENCODINGS: Final = {
    resources_pb2.ECDSA_ENCODING_UNSPECIFIED: EcdsaEncoding.DER,
    resources_pb2.ECDSA_ENCODING_DER: EcdsaEncoding.DER,
    resources_pb2.ECDSA_ENCODING_P1363: EcdsaEncoding.P1363,
}


def invalid(field: str, text: str) -> Fault:
    return Fault(Reason.FIELD_INVALID, f"{field}: {text}.", field=field)


def page_size(number: int) -> int:
    """:raises Fault: FIELD_INVALID."""
    if number < 0:
        raise invalid("page_size", "is negative")
    return min(number or _PAGE, LARGEST_PAGE)


def page_token_invalid() -> Fault:
    return invalid("page_token", "is not one that this daemon gave for this request; begin at the first page")


def key_or_alias(text: str, field: str) -> KeyName | Alias:
    """:raises Fault: FIELD_INVALID."""
    check_name_length(text, field)
    try:
        return parse_key_or_alias(text)
    except BadName as error:
        raise invalid(field, str(error)) from None


def token_name(text: str, field: str) -> TokenName:
    """:raises Fault: FIELD_INVALID."""
    check_name_length(text, field)
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


def check_name_length(text: str, field: str) -> None:
    """:raises Fault: FIELD_INVALID."""
    if len(text) > MAX_NAME:
        raise invalid(field, f"a name of {len(text)} characters; {MAX_NAME} is the limit")
