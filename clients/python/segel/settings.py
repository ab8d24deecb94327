"""How to reach a daemon, from arguments, environment and files."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NoReturn, Self

from segel._tls import Tls
from segel.errors import SettingsInvalid

SYSTEM_FOLDER: Final = Path("/etc/segel")

_ENVIRONMENT: Final[Mapping[str, str]] = {
    "target": "TARGET",
    "ca": "TLS_CA",
    "cert": "TLS_CERT",
    "key": "TLS_KEY",
    "server_name": "SERVER_NAME",
    "signing_key": "KEY",
}
_PREFIX: Final[Mapping[str, str]] = {"client": "SEGEL_", "officer": "SEGELCTL_"}
_PATHS: Final = frozenset({"ca", "cert", "key"})

Profile = Literal["client", "officer"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the daemon is, and who we are to it."""

    target: str
    """``host:port`` or ``unix:/path``."""
    tls: Tls
    server_name: str | None = None
    """The name that the daemon's certificate must have, if not that of the target; ``localhost`` for sockets."""
    signing_key: str | None = None
    """The key to sign with where none is named, for example ``keys/seal-2026``."""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Where each setting comes from, for people: an argument, a variable, or a file."""

    @classmethod
    def load(
        cls,
        target: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        profile: Profile = "client",
        *,
        server_name: str | None = None,
        signing_key: str | None = None,
        words: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Takes each setting from the first place that has it.

        In this order: the arguments; the environment (``SEGEL_TARGET``, ``SEGEL_TLS_CA``, ``SEGEL_TLS_CERT``,
        ``SEGEL_TLS_KEY``, ``SEGEL_SERVER_NAME``, ``SEGEL_KEY``); ``~/.config/segel/client.toml``;
        ``/etc/segel/client.toml``. Officers, with profile ``"officer"``, have variables that begin with
        ``SEGELCTL_``, and files called ``officer.toml``. In files the settings are called as the arguments here;
        relative paths are relative to the file.

        :param words: what those who read error messages call the arguments, for example ``{"key": "--tls-key"}``.
        :raises SettingsInvalid: if `target`, `ca`, `cert` or `key` is nowhere, naming the places; or if a file
            cannot be read or has a setting that there is not.
        """
        arguments = {
            "target": target,
            "ca": ca,
            "cert": cert,
            "key": key,
            "server_name": server_name,
            "signing_key": signing_key,
        }
        values: dict[str, str] = {}
        sources: dict[str, str] = {}
        files = [_read(path) for path in _files(profile)]
        lookups: list[Callable[[str], tuple[str | None, str]]] = [
            lambda name: (_text(arguments[name]), words.get(name, f"the argument {name}")),
            lambda name: (os.environ.get(_variable(profile, name)) or None, _variable(profile, name)),
            *(file.lookup for file in files),
        ]
        for name in _ENVIRONMENT:
            for lookup in lookups:
                value, source = lookup(name)
                if value is not None:
                    values[name], sources[name] = value, source
                    break
        for name in ("target", "ca", "cert", "key"):
            if name not in values:
                _lacking(name, profile, files, words.get(name))
        return cls(
            target=values["target"],
            tls=Tls(ca=values["ca"], cert=values["cert"], key=values["key"], said_by=sources),
            server_name=values.get("server_name"),
            signing_key=values.get("signing_key"),
            sources=sources,
        )


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    exists: bool
    values: Mapping[str, str]

    def lookup(self, name: str) -> tuple[str | None, str]:
        return self.values.get(name), str(self.path)

    def __str__(self) -> str:
        return f"{self.path} ({'which does not name it' if self.exists else 'which does not exist'})"


def _files(profile: Profile) -> tuple[Path, Path]:
    home = os.environ.get("XDG_CONFIG_HOME")
    own = Path(home) if home else Path.home() / ".config"
    return own / "segel" / f"{profile}.toml", SYSTEM_FOLDER / f"{profile}.toml"


def _read(path: Path) -> _File:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return _File(path, exists=False, values={})
    except OSError as error:
        _refuse(path, f"cannot be read: {error.strerror}")
    except ValueError as error:  # TOML and UTF-8 both
        _refuse(path, f"is not TOML: {error}")
    values: dict[str, str] = {}
    for name, value in content.items():
        if name not in _ENVIRONMENT:
            _refuse(path, f"has a setting {name!r} that there is not; there are {', '.join(_ENVIRONMENT)}")
        if not isinstance(value, str) or not value:
            _refuse(path, f"has no text for {name!r}")
        values[name] = str(path.parent / Path(value).expanduser()) if name in _PATHS else value
    return _File(path, exists=True, values=values)


def _variable(profile: Profile, name: str) -> str:
    return _PREFIX[profile] + _ENVIRONMENT[name]


def _text(value: str | os.PathLike[str] | None) -> str | None:
    return None if value is None else os.fspath(value)


def _lacking(name: str, profile: Profile, files: list[_File], word: str | None) -> NoReturn:
    places = " or ".join(f"{name} in {file}" for file in files)
    head = (
        f"There is no setting {name!r}. Give the argument" if word is None else f"{word} is missing. Give it"
    )
    raise SettingsInvalid(
        f"{head}, set {_variable(profile, name)}, or put {places}.",
        reason="SETTING_MISSING",
        code="FAILED_PRECONDITION",
        facts={"setting": name, "variable": _variable(profile, name)},
    )


def _refuse(path: Path, what: str) -> NoReturn:
    raise SettingsInvalid(
        f"{path} {what}",
        reason="SETTINGS_FILE_INVALID",
        code="FAILED_PRECONDITION",
        facts={"file": str(path)},
    )
