"""Signs and verifies PDF files for `segel pdf`."""

import base64
import io
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segel.cli.batch import work_on
from segel.cli.drafts import draft
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError, explain, naming
from segel.cli.plan import STANDARD, Task
from segel.cli.session import Session
from segel.cli.sign import parse_algorithm
from segel.cli.sources import seekable
from segel.pdf import DocumentReport, PdfSealer, SealOptions, SignatureReport, Stamp, StampUndrawable, Verdict
from segel.pdf import verify as verify_document
from segel.pdf.stamp import check as check_text

# What pyHanko logs about odd documents is said in our words where it matters.
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL)

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)

_CODE = {
    Verdict.TRUSTED: ExitCode.OK,
    Verdict.INTACT: ExitCode.SIGNER_NOT_CHECKED,
    Verdict.UNSIGNED: ExitCode.NO_SIGNATURE,
    Verdict.UNTRUSTED: ExitCode.BAD_SIGNATURE,
    Verdict.BROKEN: ExitCode.BAD_SIGNATURE,
}
_WORST_FIRST = (
    ExitCode.BAD_SIGNATURE,
    ExitCode.FAILED,
    ExitCode.NO_SIGNATURE,
    ExitCode.SIGNER_NOT_CHECKED,
    ExitCode.OK,
)


async def sign(
    session: Session,
    tasks: Sequence[Task],
    options: SealOptions,
    *,
    key: str | None,
    algorithm: str | None,
    force: bool,
    password: str | None,
    finished_before: int = 0,
) -> ExitCode:
    if any(task.target is None for task in tasks) and sys.stdout.isatty():
        raise UsageError("a PDF is binary and would garble the terminal; name an output with -o")
    wanted = parse_algorithm(algorithm)
    if not tasks:
        return await work_on([], _nothing, session.output, done="signed", finished_before=finished_before)
    async with session.signer(key, algorithm=wanted) as signer:
        with naming(signer.asking.asked):
            try:
                sealer = PdfSealer(signer, options)
            except StampUndrawable as error:
                raise UsageError(str(error)) from None

        async def work(task: Task) -> None:
            async with seekable(task.source) as source:
                if task.target is None:
                    signed = io.BytesIO()
                    await sealer.seal(source, signed, password=password)
                    session.output.write(signed.getvalue())
                    return
                async with draft(task.target, replace=force or task.in_place, like=task.source) as target:
                    await sealer.seal(source, target, password=password)

        return await work_on(tasks, work, session.output, done="signed", finished_before=finished_before)


async def _nothing(_task: Task) -> None:
    """Every output is there."""


async def verify(
    session: Session, files: Sequence[str], trusted: Sequence[bytes], password: str | None
) -> ExitCode:
    codes = []
    for file in files:
        try:
            async with seekable(None if file == STANDARD else Path(file)) as source:
                report = await verify_document(source, trusted, password=password)
        except Exception as error:
            failure = explain(error)
            if failure is None:
                raise
            if session.json:
                session.output.record({"file": file, "error": failure.text, "exit_code": int(failure.code)})
            session.output.error(
                failure.text if failure.text.startswith(f"{file}:") else f"{file}: {failure.text}"
            )
            codes.append(ExitCode.FAILED)
            continue
        _print(session, file, report)
        codes.append(_CODE[report.verdict])
    return min(codes, key=_WORST_FIRST.index)


def _print(session: Session, file: str, report: DocumentReport) -> None:
    rows: list[dict[str, Any]] = [
        {
            "field": one.field,
            "verdict": str(one.verdict),
            "signer": one.signer,
            "signed_at": one.signed_at.isoformat() if one.signed_at else None,
            "coverage": one.coverage,
            "detail": one.detail,
        }
        for one in report.signatures
    ]
    output = session.output
    if session.json:
        output.record({"file": file, "verdict": str(report.verdict), "signatures": rows})
    elif output.is_terminal:
        _print_for_people(session, file, report)
    elif not rows:
        output.record({}, file, report.verdict, "", "", "", "", "there is no signature")
    else:
        for row, detail in zip(rows, map(_detail, report.signatures), strict=True):
            columns = ("verdict", "field", "signer", "signed_at", "coverage")
            output.record({}, file, *(row[column] or "" for column in columns), detail)


def _print_for_people(session: Session, file: str, report: DocumentReport) -> None:
    output = session.output
    output.record({}, f"{file}: {report.verdict if report.signatures else 'no signature'}")
    for one in report.signatures:
        when = f"{one.signed_at:%Y-%m-%d %H:%M:%S %Z} as the signer says" if one.signed_at else "time unknown"
        output.record(
            {}, f"  {one.verdict}: {one.signer or 'unknown signer'}, {when}, {one.coverage} ({one.field})"
        )
        if one.detail:
            output.record({}, f"    {_detail(one)}")


def _detail(one: SignatureReport) -> str:
    return f"{one.detail}; give --trust root.pem" if one.verdict is Verdict.INTACT else one.detail


def stamp(*, visible: bool, page: int | None, box: str | None, text: str | None) -> Stamp | None:
    """:raises UsageError: if the stamp's options make no sense."""
    if not visible:
        if box is not None or text is not None or page is not None:
            raise UsageError("--page, --box and --text say how the stamp looks; give --visible as well")
        return None
    chosen = Stamp()
    place = None
    if box is not None:
        corners = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", box.replace(" ", ""))
        if corners is None:
            raise UsageError(f"--box is X1,Y1,X2,Y2 in whole points, not {box!r}")
        x1, y1, x2, y2 = map(int, corners.groups())
        place = (x1, y1, x2, y2)
    wording = chosen.text if text is None else text.replace("\\n", "\n")
    try:
        check_text(wording)
    except StampUndrawable as error:
        raise UsageError(f"--text: {error}") from None
    return Stamp(page=chosen.page if page is None else page, box=place, text=wording)


def read_certificates(paths: Sequence[Path]) -> list[bytes]:
    """The certificates in PEM or DER files.

    :raises UsageError: if there is none in one of them.
    """
    certificates = []
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"--trust {path}: {error.strerror}") from None
        found = [base64.b64decode(block) for block in _PEM.findall(content)]
        if not found and content[:1] == b"\x30":
            found = [content]
        if not found or not all(map(_is_certificate, found)):
            raise UsageError(f"--trust {path}: there is no certificate in it")
        certificates += found
    return certificates


def _is_certificate(encoded: bytes) -> bool:
    from cryptography.x509 import load_der_x509_certificate

    try:
        load_der_x509_certificate(encoded)
    except ValueError:
        return False
    return True


def read_password(path: Path | None) -> str | None:
    """The first line of the file.

    :raises UsageError: if it cannot be read or is empty.
    """
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--password-file {path}: {getattr(error, 'strerror', None) or 'not text'}"
        ) from None
    if not lines or not lines[0]:
        raise UsageError(f"--password-file {path}: there is no password in it")
    return lines[0]
