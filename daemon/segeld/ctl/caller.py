"""`segelctl caller list`, `revoke` and `unrevoke`"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.job_ask import Yes, sure
from segel.cli.session import Session, session_command
from segeld.ctl.change_view import moment
from segeld.ctl.completing import complete_caller, complete_shut_out
from segeld.ctl.proposing import DryRun, nothing_done, propose_and_run
from segeld.model.counts import counted, fitting

if TYPE_CHECKING:
    from segel.models_policy import Caller, Callers, RevokedCertificate

app = typer.Typer(no_args_is_help=True, help="Systems that sign, and who is shut out.")

_LIST = """\
Examples:
  segelctl caller list

Columns: name, state, end of the certificate that it last came with since the daemon was started, who revoked it and why, names in certificates. Certificates that were revoked one by one stand at the end."""

_REVOKE = """\
Examples:
  segelctl caller revoke backoffice --reason "its server was broken into"
  segelctl caller revoke sha256-1f0e... --reason "laptop stolen" --yes

Shuts a caller out at once: its open calls and streams are cut, new ones are refused. Its jobs wait, or are cancelled if the policy says so (on_revoke). What a token is signing just then is finished. By the fingerprint (SHA-256 of the DER: openssl x509 -noout -fingerprint -sha256) one certificate is shut out, whoever it belongs to; the caller can go on with another one. One officer is enough."""

_UNREVOKE = """\
Examples:
  segelctl caller unrevoke backoffice

Lets a caller or a certificate in again: another officer must approve it. Jobs that waited go on."""

COLUMNS: Final = ("NAME", "STATE", "CERTIFICATE ENDS", "WHY", "NAMES IN CERTIFICATES")

_NAME: Final = "Its name in the policy, or sha256-… of a certificate; colons and upper case may stay."

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help=_NAME, show_default=False, autocompletion=complete_caller),
]
ShutOut = Annotated[
    str,
    typer.Argument(metavar="NAME", help=_NAME, show_default=False, autocompletion=complete_shut_out),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it goes into the audit log.")]


async def list_callers(session: Session) -> None:
    """List the callers of the policy and how they stand."""
    async with session.officer() as officer:
        found = await officer.policy.callers()
    rows = [(_record(each), _row(each)) for each in found.callers]
    rows += [(_certificate_record(each), _certificate_row(each)) for each in found.certificates]
    session.output.table(COLUMNS, rows)


def _row(caller: "Caller") -> tuple[object, ...]:
    revoked = caller.revoke_time is not None
    return (
        caller.name,
        f"revoked {moment(caller.revoke_time)}" if revoked else "admitted",
        moment(caller.certificate_end),
        f"{caller.revoked_by}: {caller.revoke_reason}" if revoked else "",
        ",".join(caller.sans),
    )


def _record(caller: "Caller") -> dict[str, Any]:
    return {
        "name": caller.name,
        "sans": list(caller.sans),
        "revoked": caller.revoke_time is not None,
        "revoke_time": caller.revoke_time.isoformat() if caller.revoke_time else None,
        "revoked_by": caller.revoked_by,
        "revoke_reason": caller.revoke_reason,
        "certificate": caller.certificate,
        "certificate_end": caller.certificate_end.isoformat() if caller.certificate_end else None,
    }


def _certificate_row(certificate: "RevokedCertificate") -> tuple[object, ...]:
    return (
        certificate.fingerprint,
        f"revoked {moment(certificate.revoke_time)}",
        "",
        f"{certificate.revoked_by}: {certificate.revoke_reason}",
        "",
    )


def _certificate_record(certificate: "RevokedCertificate") -> dict[str, Any]:
    return {
        "certificate": certificate.fingerprint,
        "revoked": True,
        "revoke_time": certificate.revoke_time.isoformat() if certificate.revoke_time else None,
        "revoked_by": certificate.revoked_by,
        "revoke_reason": certificate.revoke_reason,
    }


def revoke(
    session: Session, name: Name, reason: Reason, yes: Yes = False, dry_run: DryRun = False
) -> Awaitable[ExitCode]:
    """Shut a caller or a certificate out at once."""
    subject = full_subject(name)
    if dry_run or not yes:
        for line in _losses(asyncio.run(_callers(session)), subject):
            session.output.note(line)
    if dry_run:
        return nothing_done(ExitCode.OK)
    if not sure(session, f"Shut {subject} out?", yes=yes):
        return nothing_done(ExitCode.FAILED)
    return _revoke(session, subject, reason)


async def _callers(session: Session) -> "Callers":
    async with session.officer() as officer:
        return await officer.policy.callers()


def _losses(found: "Callers", subject: str) -> list[str]:
    """What is lost, for whoever is asked."""
    known = {each.name: each for each in found.callers}
    using = [each.name for each in found.callers if each.certificate == subject]
    if subject in known:
        names = ", ".join(known[subject].sans) or "no name in the policy"
        who = f"{subject} ({names}) is shut out with every certificate."
    elif using:
        who = f"The certificate that {' and '.join(using)} last came with is shut out."
    elif subject.startswith("sha256-"):
        who = f"The certificate {subject} is shut out; no caller came with it since the daemon was started."
    else:
        who = f"{subject} is shut out with every certificate."
    return [
        who,
        "Its open calls and streams are cut, and new ones are refused.",
        "Jobs of a caller that is revoked wait, or are cancelled if the policy says so.",
        "To let it in again needs another officer.",
    ]


async def _revoke(session: Session, subject: str, reason: str) -> ExitCode:
    async with session.officer() as officer:
        done = await officer.policy.revoke(subject, reason)
    if session.json:
        session.output.record({"revoked": subject, "cut": done.cut, "jobs_held": done.jobs_held})
    else:
        waiting = f"{counted(done.jobs_held, 'job')} {fitting(done.jobs_held, 'waits', 'wait')}"
        session.output.line(f"{subject} is shut out: {counted(done.cut, 'call')} cut, {waiting}.")
    return ExitCode.OK


def unrevoke(
    session: Session, name: ShutOut, yes: Yes = False, dry_run: DryRun = False
) -> Awaitable[ExitCode]:
    """Let a caller or a certificate in again; another officer must approve it."""
    from segel.models_changes import UnrevokeCaller

    return propose_and_run(session, UnrevokeCaller(full_subject(name)), yes=yes, dry_run=dry_run)


def full_subject(name: str) -> str:
    """A name as the daemon has it; of a fingerprint, also as openssl prints it."""
    digits = name.rpartition("=")[2].replace(":", "").lower().removeprefix("sha256-")
    if len(digits) == 64 and set(digits) <= set("0123456789abcdef"):
        return f"sha256-{digits}"
    return name


session_command(app, "list", epilog=_LIST)(list_callers)
session_command(app, "revoke", epilog=_REVOKE)(revoke)
session_command(app, "unrevoke", epilog=_UNREVOKE)(unrevoke)
