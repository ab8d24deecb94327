"""What a value of a document should be, in words: msgspec says it in the words of its schema."""

import re
from collections.abc import Iterable
from typing import Final

_EXPECTED: Final = re.compile(r"Expected `([^`]+)`(.*?)(?:, got `([^`]+)`)?( - at `\$?(.*)`)?")
_ENUM: Final = re.compile(r"Invalid enum value ('[^']*')")
_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "a table",
}
_FOUND: Final = _WORDS | {"float": "one with a decimal point", "int": "a number", "str": "text"}


def sentence(text: str, choices: Iterable[str]) -> str:
    """:param text: of a `msgspec.ValidationError`, such as "Expected `int | null`, got `str`".
    :param choices: all words that may stand there, if there are only so many.
    """
    if (enum := _ENUM.match(text)) is not None:
        return f"{enum[1]} is not known; there are {', '.join(choices)}"
    match = _EXPECTED.fullmatch(text)
    if match is None:
        return text[:1].lower() + text[1:].replace("`", "")
    kinds, more, found, _, at = match.groups()
    wanted = " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | ") if kind != "null")
    where = f"{at}: " if at else ""
    beside = f", not {_FOUND.get(found, found)}" if found else ""
    return f"{where}{wanted}{more} is wanted{beside}"
