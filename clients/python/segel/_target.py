"""Where a daemon listens: `host:port`, or `unix:/path` for a socket on this machine."""

from dataclasses import dataclass
from typing import Final, NoReturn, Self

from segel.errors import SettingsInvalid

UNIX_SERVER_NAME: Final = "localhost"
"""The name asked of the daemon's certificate over a Unix socket, which has no host name of its own."""

_LONGEST_SOCKET_PATH: Final = 107  # sockaddr_un.sun_path, without its NUL


@dataclass(frozen=True, slots=True)
class Target:
    """One address; exactly one of `path` and (`host`, `port`) is set."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str, source: str = "the argument target") -> Self:
        """Reads ``host:port``, ``[::1]:port``, ``unix:/path`` or ``unix:///path``.

        :raises SettingsInvalid: if it is none of these.
        """
        if text.startswith("unix:"):
            path = text.removeprefix("unix:").removeprefix("//")
            if not path.startswith("/"):
                _refuse(text, source, "needs an absolute path: unix:/run/segel/officer.sock")
            if len(path.encode()) > _LONGEST_SOCKET_PATH:
                _refuse(
                    text, source, f"is longer than the {_LONGEST_SOCKET_PATH} octets a socket path may have"
                )
            return cls(path=path)
        host, separator, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not separator or not host or (":" in host and not bracketed):
            _refuse(text, source, "is neither host:port nor unix:/path")
        if not port.isascii() or not port.isdecimal() or not 0 < int(port) <= 65_535:
            _refuse(text, source, "has no port between 1 and 65535")
        return cls(host=host[1:-1] if bracketed else host, port=int(port))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def server_name(self) -> str:
        """The name that the daemon's certificate must have, unless a setting says otherwise."""
        return UNIX_SERVER_NAME if self.path else self.host


def _refuse(text: str, source: str, what: str) -> NoReturn:
    raise SettingsInvalid(
        f"The target {text!r} (from {source}) {what}",
        reason="TARGET_INVALID",
        code="INVALID_ARGUMENT",
        facts={"target": text, "source": source},
    )
