"""`segelctl key generate`"""

from typing import Annotated

import typer

from segel.cli.failures import UsageError
from segel.cli.output import plain
from segel.cli.session import Session, session_command
from segeld.ctl.completing import complete_token
from segeld.ctl.key_view import record
from segeld.ctl.token_names import full_name

_GENERATE = """\
Examples:
  segelctl key generate --token seal --label seal-2026 --kind p256
  segelctl key generate --token seal --label seal-2026 --kind rsa3072 --id 2026

Kinds: rsa2048, rsa3072, rsa4096, p256, p384, p521, ed25519. The key is made on the token, which must be active. It never \
leaves it, and can sign and nothing else. Small devices take minutes for a long RSA key. Next: segelctl key csr."""

TokenName = Annotated[
    str,
    typer.Option("--token", metavar="TOKEN", help="The token it is made on.", autocompletion=complete_token),
]
Label = Annotated[
    str, typer.Option("--label", metavar="TEXT", help="Its label, which no other key there has.")
]
Kind = Annotated[str, typer.Option("--kind", metavar="KIND", help="See below.")]
Id = Annotated[str, typer.Option("--id", metavar="HEX", help="Its CKA_ID; else random octets.")]


async def generate(session: Session, token: TokenName, label: Label, kind: Kind, cka_id: Id = "") -> None:
    """Make a key pair on a token."""
    try:
        octets = bytes.fromhex(cka_id)
    except ValueError:
        raise UsageError(f"--id wants pairs of hexadecimal digits, not {cka_id!r}") from None
    async with session.officer() as officer:
        made = await officer.keys.generate(full_name(token), label, kind, id=octets)
    if session.json:
        session.output.record(record(made))
        return
    session.output.line(plain(made.key.name))
    if made.key.state_reason:
        session.output.note(plain(made.key.state_reason))
    session.output.note(
        plain(f"It has no certificate yet. Next: segelctl key csr {made.key.name} --subject '/C=…/O=…/CN=…'")
    )


def register(app: typer.Typer) -> None:
    session_command(app, "generate", epilog=_GENERATE)(generate)
