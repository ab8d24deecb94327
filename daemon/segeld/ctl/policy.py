"""`segelctl policy show`, `check`, `apply` and `explain`"""

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.job_ask import Yes
from segel.cli.output import plain
from segel.cli.session import Session, full_key_name, session_command
from segeld.ctl.change_view import moment
from segeld.ctl.completing import complete_caller, complete_key
from segeld.ctl.key_names import meant
from segeld.ctl.proposing import DryRun, propose_and_run

if TYPE_CHECKING:
    from segel.models_policy import Policy, PolicyCheck

app = typer.Typer(no_args_is_help=True, help="Who may do what.")

_SHOW = """\
Examples:
  segelctl policy show
  segelctl policy show --output policy.toml

Prints the policy in force as it was applied. Who applied it, and what officers should know, goes to standard error."""

_CHECK = """\
Examples:
  segelctl policy check policy.toml

What the file would change: + gives somebody more than before and needs another officer's yes, - does not. Ends with 1 if the file has faults, and names them all. Changes nothing."""

_APPLY = """\
Examples:
  segelctl policy show --output policy.toml
  segelctl policy apply policy.toml --dry-run
  segelctl policy apply policy.toml

Shows what would change and asks. A policy that gives nobody more is in force at once; another one waits for another officer, and the command says what comes next. A policy with a fault is refused as a whole."""

_EXPLAIN = """\
Examples:
  segelctl policy explain --caller backoffice
  segelctl policy explain --caller backoffice --key seal-2026 --algorithm ECDSA_P256_SHA256

Each line is one thing that was looked at. The last one says yes, or no and what can be done. Ends with 0 if it is allowed, with 4 if not: whether a token is there and active just now is said, but changes nothing of that."""

_EXPLAIN_CODES = (
    ExitCode.OK,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.NOT_CONNECTED,
    ExitCode.NOT_ALLOWED,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, TOML.", show_default=False)]
OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there; a file is replaced.")
]
Caller = Annotated[
    str,
    typer.Option("--caller", metavar="NAME", help="Its name in the policy.", autocompletion=complete_caller),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="KEY", help="Alias or name; left out: all keys.", autocompletion=complete_key
    ),
]
Algorithm = Annotated[
    str | None,
    typer.Option("--algorithm", metavar="NAME", help="Such as ECDSA_P256_SHA256 or ES256; left out: all."),
]


async def show(session: Session, output: OutputFile = None) -> None:
    """Show the policy in force."""
    async with session.officer() as officer:
        policy = await officer.policy.get()
    if output is not None:
        await asyncio.to_thread(_write, output, policy.toml)
    if session.json:
        session.output.record(_record(policy))
        return
    if output is None:
        session.output.write(policy.toml.encode(errors="surrogateescape"))
    by = policy.requested_by or "the daemon, from the file of its first start"
    approved = f", approved by {policy.approved_by}" if policy.approved_by else ""
    session.output.note(f"In force since {moment(policy.apply_time)}, applied by {by}{approved}.")
    for warning in policy.warnings:
        session.output.note(f"Note: {warning}")


def _write(path: Path, text: str) -> None:
    """Whole or not at all: what is there may be the only copy of somebody's work. Never a device: root can replace it."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no regular file")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(text.encode(errors="surrogateescape"))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _record(policy: "Policy") -> dict[str, object]:
    return {
        "toml": policy.toml,
        "hash": policy.hash.hex(),
        "apply_time": policy.apply_time.isoformat(),
        "requested_by": policy.requested_by,
        "approved_by": policy.approved_by,
        "two_person": policy.two_person,
        "warnings": list(policy.warnings),
        "file_differs": policy.file_differs,
    }


def check(session: Session, file: File) -> Awaitable[ExitCode]:
    """Show what a policy would change, and every fault in it."""
    return _check(session, file, _read(file))


async def _check(session: Session, file: Path, toml: str) -> ExitCode:
    async with session.officer() as officer:
        found = await officer.policy.check(toml)
    if session.json:
        session.output.record(
            {
                "problems": list(found.problems),
                "differences": [{"text": each.text, "widens": each.widens} for each in found.differences],
                "needs_approval": found.needs_approval,
                "warnings": list(found.warnings),
            }
        )
        return ExitCode.FAILED if found.problems else ExitCode.OK
    if found.problems:
        return _say_problems(session, file, found)
    for each in found.differences:
        session.output.line(plain(f"{'+' if each.widens else '-'} {each.text}"))
    for warning in found.warnings:
        session.output.note(f"Note: {warning}")
    if not found.differences:
        session.output.line("It changes nothing.")
    elif found.needs_approval:
        session.output.note("It gives somebody more: another officer must approve it.")
    else:
        session.output.note("You can apply it alone.")
    return ExitCode.OK


def _say_problems(session: Session, file: Path, found: "PolicyCheck") -> ExitCode:
    for problem in found.problems:
        session.output.error(f"{file}: {problem}")
    return ExitCode.FAILED


def _read(file: Path) -> str:
    """:raises UsageError: if it can be no policy."""
    from segeld.policy import MAX_POLICY

    with file.open("rb") as opened:
        data = opened.read(MAX_POLICY + 1)
    if len(data) > MAX_POLICY:
        raise UsageError(
            f"{file} is longer than the {MAX_POLICY} octets that a policy may have. Is it another file?"
        )
    if not data.strip():
        raise UsageError(
            f"{file} is empty. To begin with the policy in force: segelctl policy show --output policy.toml"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file} is not UTF-8 text: see its line {line}, and save it as UTF-8") from None


def apply(session: Session, file: File, yes: Yes = False, dry_run: DryRun = False) -> Awaitable[ExitCode]:
    """Put a policy in force, or ask another officer to agree to it."""
    from segel.models_changes import ApplyPolicy

    toml = _read(file)
    base, found = asyncio.run(_compare(session, toml))
    if found.problems:
        return _refused(session, file, found)
    if not session.json:
        for warning in found.warnings:
            session.output.note(f"Note: {warning}")
    return propose_and_run(session, ApplyPolicy(toml, base), yes=yes, dry_run=dry_run)


async def _refused(session: Session, file: Path, found: "PolicyCheck") -> ExitCode:
    return _say_problems(session, file, found)


async def _compare(session: Session, toml: str) -> tuple[bytes, "PolicyCheck"]:
    """The hash of what is in force, and what would change."""
    async with session.officer() as officer:
        return (await officer.policy.get()).hash, await officer.policy.check(toml)


async def explain(session: Session, caller: Caller, key: Key = None, algorithm: Algorithm = None) -> ExitCode:
    """Say why a caller may sign with a key, or why not."""
    async with session.officer() as officer:
        wanted = await meant(officer, full_key_name(key)) if key else ""
        found = await officer.policy.explain(caller, wanted, _algorithm(algorithm) if algorithm else "")
    if session.json:
        session.output.record({"allowed": found.allowed, "steps": list(found.steps)})
    else:
        for step in found.steps:
            session.output.line(plain(step))
    return ExitCode.OK if found.allowed else ExitCode.NOT_ALLOWED


def _algorithm(name: str) -> str:
    """:raises UsageError: if there is none of that name."""
    from segel import Algorithm

    try:
        return Algorithm.parse(name).value
    except ValueError as error:
        raise UsageError(str(error)) from None


session_command(app, "show", epilog=_SHOW)(show)
session_command(app, "check", epilog=_CHECK)(check)
session_command(app, "apply", epilog=_APPLY)(apply)
session_command(app, "explain", epilog=_EXPLAIN, codes=_EXPLAIN_CODES)(explain)
