"""`segelctl key csr` and `segelctl key import-cert`"""

import asyncio
from collections.abc import Awaitable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segel.cli.failures import UsageError
from segel.cli.output import plain
from segel.cli.session import Session, full_key_name, session_command
from segeld.ctl.completing import complete_key
from segeld.ctl.key_names import Key, meant
from segeld.ctl.key_view import record
from segeld.ctl.new_file import new_file

if TYPE_CHECKING:
    from segel.models_keys import Csr

_CSR = """\
Examples:
  segelctl key csr seal-2026 --subject '/C=ID/O=Dinas Kominfo/CN=Segel 2026' --output seal-2026.csr
  segelctl key csr seal-2026 --like old.pem > seal-2026.csr
  segelctl key csr seal-2026 --subject '/O=A \\/ B+OU=Seal/CN=x' | openssl req -verify -noout -text

The subject is written as openssl writes it: a backslash takes the next character as it is, + joins two attributes. The key signs the request on its token, which must be active."""

_IMPORT = """\
Examples:
  segelctl key import-cert answer.pem
  segelctl key import-cert answer.p7b --dry-run
  cat seal.pem issuing.pem | segelctl key import-cert -

Takes PEM, DER and PKCS #7, in any order. What does not fit the key is refused; a gap in the chain is named, with the address where the issuer's certificate can be had."""

Subject = Annotated[str | None, typer.Option("--subject", metavar="SUBJECT", help="Such as /C=ID/O=…/CN=….")]
Like = Annotated[
    Path | None, typer.Option("--like", metavar="FILE", help="Take subject and names of this certificate.")
]
Out = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there, not to the screen.")
]
File = Annotated[
    str, typer.Argument(metavar="FILE", help="The certificate; - for standard input.", show_default=False)
]
ForKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="The key that it must be for; left out: whichever it is for.",
        autocompletion=complete_key,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be stored; store nothing.")]
_MAX_FILE = 262_144


def csr(
    session: Session, key: Key, subject: Subject = None, like: Like = None, out: Out = None
) -> Awaitable[None]:
    """Make a request for a certificate, signed by the key."""
    if (subject is None) == (like is None):
        raise UsageError("give either --subject or --like")
    old = _read(like) if like else b""
    with nullcontext() if out is None else new_file(out) as file:
        made = asyncio.run(_request(session, full_key_name(key), subject or "", old))
        if file is not None:
            file.write(made.pem.encode())
    return _show_request(session, made, out)


async def _request(session: Session, key: str, subject: str, like: bytes) -> "Csr":
    async with session.officer() as officer:
        return await officer.keys.csr(await meant(officer, key), subject, like=like)


async def _show_request(session: Session, made: "Csr", out: Path | None) -> None:
    if session.json:
        session.output.record({"pem": made.pem, "subject": made.subject})
    elif out is None:
        session.output.write(made.pem.encode())
    else:
        session.output.line(plain(f"{out}: a request for {made.subject}"))


def import_cert(session: Session, file: File, key: ForKey = None, dry_run: DryRun = False) -> Awaitable[None]:
    """Take the certificate that came back, with its issuers."""
    data = (
        _fit("-", typer.get_binary_stream("stdin").read(_MAX_FILE + 1)) if file == "-" else _read(Path(file))
    )
    return _import(session, data, full_key_name(key) if key else "", dry_run=dry_run)


async def _import(session: Session, data: bytes, key: str, *, dry_run: bool) -> None:
    async with session.officer() as officer:
        wanted = await meant(officer, key) if key else ""
        done = await officer.keys.import_certificate(data, wanted, dry_run=dry_run)
    if session.json:
        session.output.record(
            {"key": record(done.key), "stored": list(done.stored), "warnings": list(done.warnings)}
        )
        return
    found = done.key
    until = f" until {found.not_after:%Y-%m-%d}" if found.not_after else ""
    where = f"kept on {', '.join(done.stored)}" if done.stored else "nothing was stored"
    count = len(found.key.certificate_chain)
    session.output.line(plain(f"{found.key.name}: {found.subject}{until}, a chain of {count}; {where}"))
    for warning in done.warnings:
        session.output.note(f"Note: {warning}")


def _read(path: Path) -> bytes:
    """:raises UsageError: if it cannot be read, or must not be sent."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    return _fit(str(path), data)


def _fit(name: str, data: bytes) -> bytes:
    """:raises UsageError: if it is no certificate by its size, or a private key, which is not to be sent anywhere."""
    if len(data) > _MAX_FILE:
        raise UsageError(f"{name}: more than {_MAX_FILE} octets; that is no certificate")
    if b"PRIVATE KEY-----" in data:
        raise UsageError(
            f"{name}: it holds a private key, and was not sent; give a file with certificates alone"
        )
    return data


def register(app: typer.Typer) -> None:
    session_command(app, "csr", epilog=_CSR)(csr)
    session_command(app, "import-cert", epilog=_IMPORT)(import_cert)
