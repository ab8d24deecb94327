"""`segel pdf sign` and `segel pdf verify`: the options. The work is in `pdf_work`, which loads pyHanko."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.plan import leave_out_finished, plan
from segel.cli.session import Session, session_command
from segel.cli.sign import Algorithm, Force, KeyName, OutDir, OutputFile, SkipExisting

app = typer.Typer(no_args_is_help=True, help="Sign and verify PDF documents.")

_SIGN = """\
Examples:
  segel pdf sign --key keys/seal-2026 letter.pdf
  segel pdf sign --key keys/seal-2026 letters/*.pdf --out-dir signed
  segel pdf sign --key keys/seal-2026 --visible --reason "Surat keputusan" letter.pdf

Writes NAME-signed.pdf beside the document if nothing else is said. The documents stay here: one digest for each is sent. A document that cannot be signed is named and left out; the \
others are signed. The signatures are PAdES B-B. What would stop every document alike stops the run, and decides the exit code; \
--skip-existing goes on where it stopped.

Columns off a terminal: file, output."""

_VERIFY = """\
Examples:
  segel pdf verify letter-signed.pdf
  segel pdf verify --trust root.pem signed/*.pdf

Revocation is not looked up.

Columns off a terminal: file, verdict, field, signer, time (as the signer says), coverage, why it is no better."""

_VERIFY_CODES = (
    ExitCode.OK,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.SIGNER_NOT_CHECKED,
    ExitCode.BAD_SIGNATURE,
    ExitCode.NO_SIGNATURE,
)

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="PDF documents; - is standard input.", show_default=False),
]
Field = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="An empty signature field to fill, or the name of a new one. A new one, if not given.",
    ),
]
Reason = Annotated[str | None, typer.Option(help="Why it is signed.")]
Location = Annotated[str | None, typer.Option(help="Where it is signed.")]
Visible = Annotated[bool, typer.Option("--visible", help="Draw a stamp with name and time.")]
Page = Annotated[int | None, typer.Option(help="The stamp's page, from 1; the last one if not given.")]
Box = Annotated[
    str | None,
    typer.Option(
        metavar="X1,Y1,X2,Y2",
        help="The stamp's place in points from the lower left corner. Lower right, if not given.",
    ),
]
Text = Annotated[
    str | None, typer.Option(help="The stamp's text; {signer} and {time} are filled in, \\n is a new line.")
]
PasswordFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A file with the password of encrypted documents.")
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="Replace the documents themselves by the signed ones.")
]
Trust = Annotated[
    list[Path] | None,
    typer.Option("--trust", metavar="PEM", help="Certificates to trust; may be given again."),
]


async def sign(
    session: Session,
    files: Files,
    key: KeyName = None,
    algorithm: Algorithm = None,
    out_dir: OutDir = None,
    output: OutputFile = None,
    in_place: InPlace = False,
    force: Force = False,
    skip_existing: SkipExisting = False,
    field: Field = None,
    reason: Reason = None,
    location: Location = None,
    visible: Visible = False,
    page: Page = None,
    box: Box = None,
    text: Text = None,
    password_file: PasswordFile = None,
) -> ExitCode:
    """Sign PDF documents."""
    with _pdf_extra("signing PDFs"):
        from segel.cli import pdf_work as work  # takes half a second, and only here
        from segel.pdf import SealOptions

    stamp = work.stamp(visible=visible, page=page, box=box, text=text)
    password = work.read_password(password_file)
    tasks = plan(
        files,
        beside=lambda path: path.with_name(f"{path.stem}-signed{path.suffix or '.pdf'}"),
        in_folder=lambda path: path.name,
        output=output,
        out_dir=out_dir,
        in_place=in_place,
        skip_existing=skip_existing,
    )
    left = leave_out_finished(tasks, skip=skip_existing, force=force, in_place=in_place)
    options = SealOptions(field=field, reason=reason, location=location, stamp=stamp)
    return await work.sign(
        session,
        left,
        options,
        key=key,
        algorithm=algorithm,
        force=force,
        password=password,
        finished_before=len(tasks) - len(left),
    )


async def verify(
    session: Session, files: Files, trust: Trust = None, password_file: PasswordFile = None
) -> ExitCode:
    """Check the signatures of PDF documents."""
    with _pdf_extra("checking PDFs"):
        from segel.cli import pdf_work as work  # takes half a second, and only here
    return await work.verify(
        session, files, work.read_certificates(trust or []), work.read_password(password_file)
    )


session_command(app, "sign", epilog=_SIGN)(sign)
session_command(app, "verify", epilog=_VERIFY, codes=_VERIFY_CODES)(verify)


@contextmanager
def _pdf_extra(what: str) -> Iterator[None]:
    """:raises UsageError: if pyHanko, or what it needs itself, is not installed."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "segel":
            raise
        raise UsageError(f"{what} needs: pip install 'segel[pdf]'") from None
