"""`segel pdf sign` and `segel pdf verify`: the options. The work is in `pdf_work`, which loads pyHanko."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.plan import plan
from segel.cli.session import Session, session_command
from segel.cli.sign import Algorithm, Force, KeyName, OutDir, OutputFile

app = typer.Typer(no_args_is_help=True, help="Sign and verify PDF documents.")

_SIGN = """\
Examples:
  segel pdf sign --key keys/seal-2026 letter.pdf
  segel pdf sign --key keys/seal-2026 letters/*.pdf --out-dir signed
  segel pdf sign --key keys/seal-2026 --visible --reason "Surat keputusan" letter.pdf

Writes NAME-signed.pdf beside the document if nothing else is said. The documents stay here: one digest for each is sent. A document that cannot be signed is named and left out; the \
others are signed. The signatures are PAdES B-B.

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
    typer.Option(help="An empty signature field to fill, or the name of a new one. A new one, if not given."),
]
Reason = Annotated[str | None, typer.Option(help="Why it is signed.")]
Location = Annotated[str | None, typer.Option(help="Where it is signed.")]
Visible = Annotated[bool, typer.Option("--visible", help="Draw a stamp with name and time.")]
Page = Annotated[int, typer.Option(help="The stamp's page, from 1; -1 is the last one.")]
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
PasswordFile = Annotated[Path | None, typer.Option(help="A file with the password of encrypted documents.")]
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
    field: Field = None,
    reason: Reason = None,
    location: Location = None,
    visible: Visible = False,
    page: Page = -1,
    box: Box = None,
    text: Text = None,
    password_file: PasswordFile = None,
) -> ExitCode:
    """Sign PDF documents."""
    _need_pyhanko()
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
    )
    options = SealOptions(field=field, reason=reason, location=location, stamp=stamp)
    return await work.sign(
        session, tasks, options, key=key, algorithm=algorithm, force=force, password=password
    )


async def verify(
    session: Session, files: Files, trust: Trust = None, password_file: PasswordFile = None
) -> ExitCode:
    """Check the signatures of PDF documents."""
    _need_pyhanko()
    from segel.cli import pdf_work as work  # takes half a second, and only here

    return await work.verify(
        session, files, work.read_certificates(trust or []), work.read_password(password_file)
    )


session_command(app, "sign", epilog=_SIGN)(sign)
session_command(app, "verify", epilog=_VERIFY, codes=_VERIFY_CODES)(verify)


def _need_pyhanko() -> None:
    if importlib.util.find_spec("pyhanko") is None:
        raise UsageError("PDF documents need the extra segel[pdf]: pip install 'segel[cli,pdf]'")
