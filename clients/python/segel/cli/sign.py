"""`segel sign`"""

import enum
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from segel.cli.asking import AskedSigner
from segel.cli.batch import work_on
from segel.cli.completing import complete_key
from segel.cli.drafts import draft
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import FileRefused, UsageError, naming
from segel.cli.plan import Task, leave_out_finished, plan
from segel.cli.session import Session, session_command
from segel.cli.sources import Readable, digest, opened, read_up_to

_EPILOG = """\
Examples:
  segel sign --key keys/seal-2026 decree.xml
  segel sign --key keys/seal-2026 --format cms *.xml --out-dir signed
  tar c letters | segel sign --key keys/seal-2026 - > letters.tar.sig
  openssl cms -verify -binary -inform DER -in decree.xml.p7s -content decree.xml -CAfile root.pem

Writes FILE.sig or FILE.p7s beside the file if nothing else is said. The files stay here: only digests are sent, except for Ed25519, which signs the file itself.

A file that cannot be signed is named and left out. What would stop every file alike (no daemon, no PIN, a full disk) stops the run, and decides the exit code; --skip-existing goes on where it stopped.

Columns off a terminal: file, output."""

_MAX_MESSAGE = 65_536


class Format(enum.StrEnum):
    SIGNATURE = "signature"
    CMS = "cms"


class Ecdsa(enum.StrEnum):
    DER = "der"
    P1363 = "p1363"


Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="What to sign; - is standard input.", show_default=False),
]
KeyName = Annotated[
    str | None,
    typer.Option(
        "--key",
        "-k",
        metavar="KEY",
        help="ALIAS or sha256-…, with or without keys/. Else SEGEL_KEY.",
        autocompletion=complete_key,
    ),
]
Algorithm = Annotated[
    str | None,
    typer.Option(
        help="For example ECDSA_P256_SHA256, or JOSE's name for it, ES256. The key's first, if not given."
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format", "-f", help="The bare signature (.sig), or a detached CMS with certificates (.p7s)."
    ),
]
EcdsaOption = Annotated[
    Ecdsa, typer.Option(help="How a bare ECDSA signature is written: p1363 is for JOSE and COSE.")
]
OutDir = Annotated[Path | None, typer.Option("--out-dir", "-d", help="Write here; made if it is not there.")]
OutputFile = Annotated[
    str | None, typer.Option("--output", "-o", help="Write this file; - is standard output.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace outputs that are there already.")]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave out files whose output is there: goes on after a stop.")
]

_Signing = Callable[[Readable], Awaitable[bytes]]


def register(app: typer.Typer) -> None:
    session_command(app, "sign", epilog=_EPILOG)(sign)


async def sign(
    session: Session,
    files: Files,
    key: KeyName = None,
    form: FormatOption = Format.SIGNATURE,  # named as the option is
    algorithm: Algorithm = None,
    ecdsa: EcdsaOption = Ecdsa.DER,
    out_dir: OutDir = None,
    output: OutputFile = None,
    force: Force = False,
    skip_existing: SkipExisting = False,
) -> ExitCode:
    """Sign files: a bare signature or a detached CMS for each."""
    if form is Format.CMS and ecdsa is Ecdsa.P1363:
        raise UsageError("CMS writes ECDSA signatures in DER; --ecdsa p1363 is for bare signatures")
    suffix = ".p7s" if form is Format.CMS else ".sig"
    tasks = plan(
        files,
        beside=lambda path: path.with_name(path.name + suffix),
        in_folder=lambda path: path.name + suffix,
        output=output,
        out_dir=out_dir,
        skip_existing=skip_existing,
    )
    left = leave_out_finished(tasks, skip=skip_existing, force=force)
    if any(task.target is None for task in tasks) and sys.stdout.isatty():
        raise UsageError("a signature is binary and would garble the terminal; name an output with -o")
    wanted = parse_algorithm(algorithm)
    output_there = len(tasks) - len(left)
    if not left:
        return await work_on([], _nothing, session.output, done="signed", finished_before=output_there)
    async with session.signer(key, algorithm=wanted, ecdsa=ecdsa.value) as signer:
        signing = _cms(signer) if form is Format.CMS else _bare(signer)

        async def work(task: Task) -> None:
            with opened(task.source) as stream:
                if task.target is None:
                    session.output.write(await signing(stream))
                    return
                # Made before a signature is spent on it.
                async with draft(task.target, replace=force) as target:
                    target.write(await signing(stream))

        return await work_on(
            left, work, session.output, done="signed", finished_before=output_there, hashes=True
        )


async def _nothing(_task: Task) -> None:
    """Every output is there."""


def parse_algorithm(name: str | None) -> str | None:
    """:raises UsageError: with the names there are, if it is none of them."""
    if name is None:
        return None
    from segel import Algorithm as Names

    try:
        return Names.parse(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _bare(signer: AskedSigner) -> _Signing:
    async def sign_stream(stream: Readable) -> bytes:
        hash_name = signer.algorithm.hash_name
        if hash_name is not None:
            return await signer.sign_digest(await digest(stream, hash_name))
        message = await read_up_to(stream, _MAX_MESSAGE + 1)
        if len(message) > _MAX_MESSAGE:
            raise FileRefused(
                f"Ed25519 signs the file itself, and only up to {_MAX_MESSAGE} octets; use --format cms, or another key"
            )
        return await signer.sign_message(message)

    return sign_stream


def _cms(signer: AskedSigner) -> _Signing:
    from segel.cms import CmsTemplate

    with naming(signer.asking.asked):
        template = CmsTemplate.of(signer)

    async def sign_stream(stream: Readable) -> bytes:
        return await template.sign(signer, await digest(stream, template.hash_name), datetime.now(UTC))

    return sign_stream
