"""Who may do what: one TOML file, compiled into frozen rules. The default is no."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from segeld.config.strict import Problem, build, parse_toml, read_toml
from segeld.policy.compile import compile_policy
from segeld.policy.document import PolicyTable
from segeld.policy.rules import Policy, Verdict, algorithm_not_granted, key_not_found
from segeld.policy.staffing import staffing

__all__ = [
    "MAX_POLICY",
    "Policy",
    "PolicyError",
    "Verdict",
    "algorithm_not_granted",
    "check",
    "compile_tables",
    "key_not_found",
    "load",
    "parse",
    "staffing",
]


MAX_POLICY: Final = 1_000_000
"""Octets: what a message to officers and from them can hold. A policy of a thousand callers has about 200,000."""
_PERSON: Final = re.compile(r"(callers|officers|auditors|approvers)\[([0-9]+)\]")
_MAX_NAME: Final = 63


class PolicyError(Exception):
    """The policy has faults; the text names them all, a line each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def check(path: Path) -> list[Problem]:
    """Names every fault of the file."""
    return _read(path)[1]


def load(path: Path) -> Policy:
    """Reads and compiles the file.

    :raises PolicyError: with every fault found.
    """
    policy, problems = _read(path)
    if policy is None or problems:
        raise PolicyError(problems)
    return policy


def parse(text: str) -> tuple[Policy, list[Problem]]:
    """Compiles a policy that is at hand, and names every fault of it. With problems, the rules must not be used."""
    raw, problems = parse_toml(text.encode(errors="surrogateescape"), "the policy", MAX_POLICY)
    return (Policy(), problems) if problems else compile_tables(raw)


def compile_tables(raw: dict[str, object]) -> tuple[Policy, list[Problem]]:
    """The same, of TOML that was read already."""
    return _compiled(raw, Path())


def _read(path: Path) -> tuple[Policy | None, list[Problem]]:
    raw, problems = read_toml(path, MAX_POLICY)
    return (None, problems) if problems else _compiled(raw, path.absolute().parent)


def _compiled(raw: dict[str, object], folder: Path) -> tuple[Policy, list[Problem]]:
    table, problems = build(PolicyTable, raw, folder)
    policy, problems = (Policy(), problems) if table is None else compile_policy(table)
    return policy, [_named(problem, raw) for problem in problems]


def _named(problem: Problem, raw: Mapping[str, object]) -> Problem:
    """With the name of whom it is about: nobody should have to count tables."""
    found = _PERSON.match(problem.key)
    people = raw.get(found[1]) if found else None
    if found is None or not isinstance(people, list):
        return problem
    person = people[int(found[2])]
    name = person.get("name") if isinstance(person, dict) else None
    if not isinstance(name, str) or problem.key.endswith("].name"):
        return problem
    return Problem(problem.key, f"{problem.text} (of {name[:_MAX_NAME]!r})")
