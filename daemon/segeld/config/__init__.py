"""What the daemon is told: one TOML file, checked once, then frozen values that everybody is handed."""

from pathlib import Path

from segeld.config.checks import check_files
from segeld.config.schema import Config
from segeld.config.strict import Problem, build, read_toml

__all__ = ["Config", "ConfigError", "Problem", "check", "load", "policy_path"]


class ConfigError(Exception):
    """The configuration has faults; the text names them all, a line each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def check(path: Path, *, descriptors: bool = False) -> list[Problem]:
    """Names every fault of the file and of the files it names. Starts nothing, loads no module.

    :param descriptors: as in `load`.
    """
    return _read(path, descriptors=descriptors)[1]


def load(path: Path, *, descriptors: bool = False) -> Config:
    """Reads and checks the file; relative paths in it are taken from its folder.

    :param descriptors: whether the PIN descriptors that it names must be open in this process. They are only where
        the daemon is started to serve; a check by hand has not got them.
    :raises ConfigError: with every fault found.
    """
    config, problems = _read(path, descriptors=descriptors)
    if config is None or problems:
        raise ConfigError(problems)
    return config


def policy_path(path: Path) -> Path | None:
    """The policy file that a configuration names, even if it has faults; None if it cannot be read at all."""
    raw, problems = read_toml(path)
    named = raw.get("policy", "policy.toml")
    return None if problems or not isinstance(named, str) else path.absolute().parent / named


def _read(path: Path, *, descriptors: bool) -> tuple[Config | None, list[Problem]]:
    folder = path.absolute().parent
    raw, problems = read_toml(path)
    if problems:
        return None, problems
    raw.setdefault("policy", "policy.toml")
    config, problems = build(Config, raw, folder)
    if config is None:
        return None, problems
    return config, sorted(check_files(config, descriptors=descriptors))
