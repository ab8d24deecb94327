"""What an officer can do when a policy says no: a sentence each, pure."""

import difflib
from collections.abc import Iterable
from typing import Final

_EDIT: Final = "segelctl policy show --output policy.toml, change it, segelctl policy apply policy.toml"


def another_name(wanted: str, names: Iterable[str]) -> str:
    """A name that may have been meant, as the begin of a remedy; empty if there is none like it."""
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.75)
    return f"Did you mean {near[0]}? " if near else ""


def see_callers(wanted: str, names: Iterable[str]) -> str:
    return f"{another_name(wanted, names)}segelctl caller list shows who there is."


def see_keys(wanted: str, aliases: Iterable[str]) -> str:
    return f"{another_name(wanted, aliases)}segelctl key list shows the keys there are, and their aliases."


def let_in(caller: str) -> str:
    return f"To let it in again, which takes two officers: segelctl caller unrevoke {caller}"


def grant(caller: str, key: str) -> str:
    return f'To grant it, name "{key}" in a [[callers.grants]] of {caller}: {_EDIT}.'


def grant_anything(caller: str) -> str:
    return f"To grant it something, add a [[callers.grants]] to {caller}: {_EDIT}."


def grant_algorithm(algorithm: str) -> str:
    return f"To grant it, add {algorithm} to the algorithms of that grant: {_EDIT}."


def look_for_token() -> str:
    return "segelctl key list shows the keys there are, segelctl token list the tokens that may be missing."


def another_algorithm(algorithms: Iterable[str]) -> str:
    return f"Let the caller ask for {' or '.join(algorithms)}."
