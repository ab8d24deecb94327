"""What the policy says of keys, whoever uses them: by any of their names, the strictest word counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from segeld.config.strict import Problem
from segeld.model.names import Alias, BadName, KeyName, parse_key_or_alias
from segeld.policy.document import DefaultsTable, KeyTable

_Word = Literal["allow", "refuse"] | None


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """True is the loose word of each."""

    repeated: bool = True
    """An attempt whose outcome is unknown is repeated."""
    bulk: bool = False
    """Jobs may use it, even if it asks for its PIN at every signature."""
    without_certificate: bool = True
    expired: bool = True
    """It signs with a certificate that is over, or has not begun."""
    revoked: bool = True


LOOSE: Final = KeyOptions()
"""Of a key of which nothing is said."""


def defaults_of(table: DefaultsTable) -> KeyOptions:
    return KeyOptions(
        without_certificate=table.without_certificate == "allow",
        expired=table.expired == "allow",
        revoked=table.revoked == "allow",
    )


def key_options(
    tables: Mapping[str, KeyTable], defaults: KeyOptions, aliases: Mapping[Alias, tuple[KeyName, ...]]
) -> tuple[dict[KeyName, KeyOptions], list[Problem]]:
    """The options of each key that is named, by alias or by its own name; and what is wrong with the tables."""
    problems: list[Problem] = []
    seen: dict[KeyName | Alias, str] = {}
    said: dict[KeyName, list[KeyTable]] = {}
    for word, table in tables.items():
        at = f'keys."{word}"'
        try:
            name = parse_key_or_alias("keys/" + word.removeprefix("keys/"))
        except BadName as error:
            problems.append(Problem(at, str(error)))
            continue
        if (other := seen.setdefault(name, at)) != at:
            problems.append(Problem(at, f"is the same key as {other}"))
        if isinstance(name, Alias) and name not in aliases:
            problems.append(Problem(at, f"{name} is not among the aliases"))
            continue
        for key in (name,) if isinstance(name, KeyName) else aliases[name]:
            said.setdefault(key, []).append(table)
    return {key: _strictest(tables, defaults) for key, tables in said.items()}, problems


def _strictest(tables: list[KeyTable], defaults: KeyOptions) -> KeyOptions:
    return replace(
        defaults,
        repeated=all(table.on_unknown == "retry" for table in tables),
        bulk=all(table.bulk for table in tables),
        without_certificate=_word(
            (t.without_certificate for t in tables), loose=defaults.without_certificate
        ),
        expired=_word((t.expired for t in tables), loose=defaults.expired),
        revoked=_word((t.revoked for t in tables), loose=defaults.revoked),
    )


def _word(words: Iterable[_Word], *, loose: bool) -> bool:
    """:param loose: what holds if none of them says anything."""
    said = {word for word in words if word is not None}
    return "refuse" not in said if said else loose
