"""The command `segelctl`: what officers do with slots and tokens."""

from segel.cli import session
from segeld.ctl import audit, caller, change, job, key, policy, slot, status, token

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

app = session.app("officer", "Look after the tokens of segeld.", _EPILOG, "segeld")
status.register(app)
app.add_typer(slot.app, name="slot")
app.add_typer(token.app, name="token")
app.add_typer(key.app, name="key")
app.add_typer(caller.app, name="caller")
app.add_typer(policy.app, name="policy")
app.add_typer(change.app, name="change")
app.add_typer(job.app, name="job")
app.add_typer(audit.app, name="audit")


def main() -> None:
    session.start(app)


if __name__ == "__main__":
    main()
