"""TOML to frozen structs, with every fault collected and named by its key, not only the first one found."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

import msgspec
from msgspec import inspect

from segeld.config.wanted import sentence

MAX_DOCUMENT: Final = 4 * 1024 * 1024
"""Octets of one document."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a document. A key that it does not name is a fault."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a document: the key it lies at, and one sentence."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text


T = TypeVar("T", bound=Strict)


def read_toml(path: Path, limit: int = MAX_DOCUMENT) -> tuple[dict[str, Any], list[Problem]]:
    """Reads one document; an unreadable one is a problem like any other.

    :param limit: octets.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        return {}, [Problem("", f"{path} cannot be read: {error.strerror}")]
    return parse_toml(data, str(path), limit)


def parse_toml(data: bytes, name: str, limit: int = MAX_DOCUMENT) -> tuple[dict[str, Any], list[Problem]]:
    """The tables of one document, and what is wrong with it as a whole.

    :param name: what people call it.
    :param limit: octets.
    """
    if len(data) > limit:
        return {}, [Problem("", f"{name} is longer than {limit} octets")]
    try:
        return tomllib.loads(data.decode("utf-8")), []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        return {}, [Problem("", f"{name} is not TOML: {error}")]


def build(kind: type[T], raw: Mapping[str, Any], folder: Path) -> tuple[T | None, list[Problem]]:
    """Makes a struct of a document; relative paths are taken from `folder`.

    Gives the struct, or None and every problem.
    """

    def convert(value: Any, wanted: Any) -> Any:
        return msgspec.convert(value, wanted, dec_hook=lambda t, v: _path(t, v, folder))

    try:
        return convert(raw, kind), []  # in most cases all is well, and this takes a twentieth of the time
    except msgspec.ValidationError:
        pass
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    problems = sorted(_walk(info, raw, "", convert))
    return (None, problems) if problems else (convert(raw, kind), [])


def _path(wanted: type, value: object, folder: Path) -> Path:
    if wanted is not Path or not isinstance(value, str):
        raise TypeError(f"a path is written as a string, not as {type(value).__name__}")
    if not value or "\0" in value:
        raise ValueError("a path is not empty")
    return folder / value


def _walk(info: inspect.StructType, raw: Mapping[str, Any], at: str, convert: Any) -> Iterator[Problem]:
    known = {field.encode_name: field for field in info.fields}
    hints = get_type_hints(info.cls, include_extras=True)
    for key in raw:
        if key not in known and key != info.tag_field:
            yield Problem(_under(at, key), _unknown(key, known))
    for name, field in known.items():
        if name in raw:
            yield from _value(field.type, raw[name], _under(at, name), convert, hints[name])
        elif field.required:
            yield Problem(_under(at, name), "is required")


def _value(info: inspect.Type, value: Any, at: str, convert: Any, wanted: Any) -> Iterator[Problem]:
    """Goes down where there are tables below; everything else is msgspec's to judge."""
    inner = _struct_of(info, value)
    if isinstance(inner, str):
        yield Problem(at, inner)
    elif inner is not None:
        yield from _walk(inner, value, at, convert)
    elif isinstance(info, inspect.DictType) and isinstance(value, dict) and _has_tables(info.value_type):
        for key, entry in value.items():
            yield from _value(info.value_type, entry, _under(at, key), convert, None)
    elif isinstance(info, inspect.VarTupleType) and isinstance(value, list) and _has_tables(info.item_type):
        for number, entry in enumerate(value):
            yield from _value(info.item_type, entry, f"{at}[{number}]", convert, None)
    else:
        try:
            convert(value, wanted)
        except msgspec.ValidationError as error:
            yield Problem(at, sentence(str(error), _choices(info)))


def _struct_of(info: inspect.Type, value: Any) -> inspect.StructType | str | None:
    """The table that belongs to a value; a sentence if none does; None if this is no place for tables."""
    structs = [info] if isinstance(info, inspect.StructType) else []
    if isinstance(info, inspect.UnionType):
        structs = [kind for kind in info.types if isinstance(kind, inspect.StructType)]
    if not structs:
        return None
    if not isinstance(value, dict):
        return f"is a table, not {type(value).__name__}"
    if len(structs) == 1:
        return structs[0]
    tag = structs[0].tag_field or "type"
    for kind in structs:
        if kind.tag == value.get(tag):
            return kind
    return f"{tag} is one of " + ", ".join(sorted(str(kind.tag) for kind in structs))


def _choices(info: inspect.Type) -> tuple[str, ...]:
    if isinstance(info, inspect.UnionType):
        return tuple(choice for kind in info.types for choice in _choices(kind))
    if isinstance(info, inspect.EnumType):
        return tuple(str(member.value) for member in info.cls)
    return tuple(map(str, info.values)) if isinstance(info, inspect.LiteralType) else ()


def _has_tables(info: inspect.Type) -> bool:
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    return any(isinstance(kind, inspect.StructType) for kind in kinds)


def _under(at: str, key: str) -> str:
    word = key if key.replace("-", "").replace("_", "").isalnum() else f'"{key}"'
    return f"{at}.{word}" if at else word


def _unknown(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"is not known; is {near[0]} meant?" if near else f"is not known; there are {', '.join(known)}"
