"""What the policy in force calls keys: also those that no token holds. Pure."""

import tomllib
from collections.abc import Mapping


def aliases_of(toml: str) -> Mapping[str, frozenset[str]]:
    """The keys of each alias, all with their collection.

    :param toml: the policy in force: nothing is wrong with it, unless the daemon is a newer one.
    """
    try:
        found = tomllib.loads(toml).get("aliases", {})
    except tomllib.TOMLDecodeError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {_full(alias): frozenset(map(_full, keys)) for alias, keys in found.items()}


def _full(name: object) -> str:
    text = str(name)
    return text if text.startswith("keys/") else f"keys/{text}"
