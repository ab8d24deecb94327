"""`segelctl audit`: verifies and searches the audit log on its files alone. The work is in the modules `audit_…`."""

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.session import session_command
from segeld.ctl import (
    audit_adopt,
    audit_archive,
    audit_export,
    audit_find,
    audit_index,
    audit_key,
    audit_proof,
    audit_tail,
    audit_verify,
)
from segeld.ctl.audit_command import audit_command

app = typer.Typer(
    no_args_is_help=True,
    help="The audit log: verify it, and find out who signed what. Works on files, a copy will do; no daemon is asked.",
)

audit_command(app, "verify", epilog=audit_verify.VERIFY, codes=audit_verify.CODES)(audit_verify.verify)
audit_command(app, "find", epilog=audit_find.FIND, codes=audit_find.CODES)(audit_find.find)
audit_command(app, "export", epilog=audit_export.EXPORT, codes=audit_export.CODES)(audit_export.export)
audit_command(app, "index", epilog=audit_index.INDEX, codes=audit_index.CODES)(audit_index.index)
audit_command(app, "archive", epilog=audit_archive.ARCHIVE, codes=audit_archive.CODES)(audit_archive.archive)
audit_command(app, "prove", epilog=audit_proof.PROVE, codes=audit_proof.CODES)(audit_proof.prove)
audit_command(app, "check-proof", epilog=audit_proof.CHECK_PROOF, codes=audit_proof.CODES)(
    audit_proof.check_proof
)
audit_command(app, "tail", epilog=audit_tail.TAIL, codes=audit_tail.CODES)(audit_tail.tail)
session_command(app, "adopt", epilog=audit_adopt.ADOPT)(audit_adopt.adopt)
audit_command(app, "key", epilog=audit_key.KEY, codes=(ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE))(
    audit_key.key
)
