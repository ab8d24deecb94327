"""The command `segelctl`: what officers do with slots and tokens."""

from typing import Final

from segel.cli import session

_EPILOG = """\
Examples:
  segelctl status
  segelctl slot list
  segelctl token activate seal
  segelctl key list
  segelctl change list
  segelctl job list --state held
  segelctl audit find letter.pdf

Settings come from options, the environment (SEGELCTL_TARGET, SEGELCTL_TLS_CA, SEGELCTL_TLS_CERT, SEGELCTL_TLS_KEY), \
~/.config/segel/officer.toml and /etc/segel/officer.toml, in this order. The target is the officer listener, for \
example unix:/run/segel/officer.sock. PINs are never taken from options or the environment."""

_PARTS: Final = ("status", "slot", "token", "key", "caller", "policy", "change", "job", "audit")

app = session.app(
    "officer",
    "Look after the tokens of segeld.",
    _EPILOG,
    "segeld",
    {name: f"segeld.ctl.{name}" for name in _PARTS},
)


def main() -> None:
    session.start(app)


if __name__ == "__main__":
    main()
