"""`segelctl audit`: verifies and searches the audit log. Each command is in a module of its own, imported when it is asked for."""

from typing import Final

import typer

from segel.cli.quick import group_of

_PARTS: Final = {
    "verify": "audit_verify",
    "find": "audit_find",
    "export": "audit_export",
    "index": "audit_index",
    "archive": "audit_archive",
    "prove": "audit_proof",
    "check-proof": "audit_proof",
    "tail": "audit_tail",
    "adopt": "audit_adopt",
    "key": "audit_key",
}

app = typer.Typer(
    cls=group_of({name: f"segeld.ctl.{module}" for name, module in _PARTS.items()}),
    no_args_is_help=True,
    help="The audit log: verify it, and find out who signed what. Works on its files, a copy will do; on a machine that has "
    "none, the daemon is asked.",
)
