"""What the policy says of keys, whoever uses them: by any of their names, the strictest word counts."""

from collections.abc import Mapping

from segeld.config.strict import Problem
from segeld.model.names import Alias, BadName, KeyName, parse_key_or_alias
from segeld.policy.document import KeyTable


def keys_tried_once(
    tables: Mapping[str, KeyTable], aliases: Mapping[Alias, tuple[KeyName, ...]]
) -> tuple[frozenset[KeyName], list[Problem]]:
    """Keys that say `fail` under any of their names, and what is wrong with the tables."""
    problems: list[Problem] = []
    seen: dict[KeyName | Alias, str] = {}
    once: set[KeyName] = set()
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
        elif table.on_unknown == "fail":
            once.update((name,) if isinstance(name, KeyName) else aliases[name])
    return frozenset(once), problems
