"""What the daemon is told: one TOML file, checked once, then frozen values that everybody is handed."""

from pathlib import Path

from segeld.config.checks import check_files
from segeld.config.schema import Config
from segeld.config.strict import Problem, build, read_toml

__all__ = ["Config", "ConfigError", "Problem", "check", "load"]


class ConfigError(Exception):
    """The configuration has faults; the text names them all, a line each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def check(path: Path) -> list[Problem]:
    """Names every fault of the file and of the files it names. Starts nothing, loads no module."""
    return _read(path)[1]


def load(path: Path) -> Config:
    """Reads and checks the file; relative paths in it are taken from its folder.

    :raises ConfigError: with every fault found.
    """
    config, problems = _read(path)
    if config is None or problems:
        raise ConfigError(problems)
    return config


def _read(path: Path) -> tuple[Config | None, list[Problem]]:
    folder = path.absolute().parent
    raw, problems = read_toml(path)
    if problems:
        return None, problems
    raw.setdefault("policy", "policy.toml")
    config, problems = build(Config, raw, folder)
    return (None, problems) if config is None else (config, sorted(check_files(config)))
