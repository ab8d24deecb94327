"""Commands that begin at once: only what a command line names is imported, and pydantic only where a value needs it.

typer reads every option with pydantic, also those that were not given, and to load that takes as long as all else
together. Text, whole numbers, paths and what was not given are read here; all else, and what is wrong, goes typer's own way.
"""

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

_SIMPLE: Final = (str, int, Path)
_DIGITS: Final = 18


class QuickCommand(TyperCommand):
    """A command whose options are read so."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _quick(super().get_params(ctx))


class QuickGroup(TyperGroup):
    """A group whose options are read so."""

    parts: Mapping[str, str] = {}
    """Modules by the name of the group that each has as its `app`, or of the command that its `register` makes."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands(self.parts, self.commands)

    def get_params(self, ctx: Any) -> list[Any]:
        return _quick(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # as click has it
        return list(self.commands)


def group_of(parts: Mapping[str, str]) -> type[QuickGroup]:
    """A class for `typer.Typer(cls=…)`: these parts, in their order, come first.

    :param parts: see `QuickGroup.parts`.
    """
    return type("PartsGroup", (QuickGroup,), {"parts": parts})


class _Commands(MutableMapping[str, Any]):
    """Commands by name, made when they are asked for."""

    def __init__(self, parts: Mapping[str, str], made: MutableMapping[str, Any]) -> None:
        self._parts: Final = parts
        self._made: Final = made

    def __getitem__(self, name: str) -> Any:
        if name not in self._made and name in self._parts:
            self._made[name] = _command_of(importlib.import_module(self._parts[name]), name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._parts, *self._made]))

    def __len__(self) -> int:
        return len({*self._parts, *self._made})


def _command_of(part: Any, name: str) -> Any:
    """A group, or the one command that the module registers; without the options of a root."""
    holder = typer.Typer(add_completion=False, rich_markup_mode="rich")
    holder.callback()(lambda: None)
    if hasattr(part, "register"):
        part.register(holder)
    else:
        own = part.app.info.cls
        holder.add_typer(part.app, name=name, cls=own if isinstance(own, type) else QuickGroup)
    return typer.main.get_group(holder).commands[name]


def _quick(parameters: list[Any]) -> list[Any]:
    for each in parameters:
        each.process_value = partial(_process, each, type(each).process_value)
    return parameters


def _process(parameter: Any, slowly: Callable[..., Any], context: Any, value: Any) -> Any:
    is_many = parameter.multiple or parameter.nargs == -1
    kind = parameter.type_descriptor.annotation
    if value is None and not parameter.required:
        taken: Any = () if is_many else None
    elif isinstance(value, str) and not is_many and _is_plain(parameter, value):
        taken = kind(value)
    elif type(value) is kind and kind in _SIMPLE and value == parameter.default:
        taken = value
    else:
        return slowly(parameter, context, value)
    return taken if parameter.callback is None else parameter.callback(context, parameter, taken)


def _is_plain(parameter: Any, value: str) -> bool:
    """Whether typer would make nothing else of it than its type does, and would refuse nothing."""
    kind, about = parameter.type_descriptor.annotation, parameter.type_descriptor.parameter_info
    if about.parser is not None:
        return False
    if kind is str:
        return True
    if kind is int:
        return not about.clamp and _is_number_within(value, about.min, about.max)
    asked = about.exists or about.writable or about.resolve_path or about.allow_dash or about.path_type
    return bool(
        kind is Path
        and about.file_okay
        and about.dir_okay
        and not asked
        and (os.access(value, os.R_OK) or not os.path.lexists(value))
    )


def _is_number_within(value: str, least: float | None, most: float | None) -> bool:
    return (
        value.isascii()
        and value.isdigit()
        and len(value) <= _DIGITS
        and (least is None or int(value) >= least)
        and (most is None or int(value) <= most)
    )
