"""Who may do what: one TOML file, compiled into frozen rules. The default is no."""

from pathlib import Path

from segeld.config.strict import Problem, build, read_toml
from segeld.policy.compile import compile_policy
from segeld.policy.document import PolicyTable
from segeld.policy.rules import Policy, Verdict, algorithm_not_granted, key_not_found

__all__ = ["Policy", "PolicyError", "Verdict", "algorithm_not_granted", "check", "key_not_found", "load"]


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


def _read(path: Path) -> tuple[Policy | None, list[Problem]]:
    raw, problems = read_toml(path)
    if problems:
        return None, problems
    table, problems = build(PolicyTable, raw, path.absolute().parent)
    return (None, problems) if table is None else compile_policy(table)
