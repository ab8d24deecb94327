"""`segelctl audit prove` and `check-proof`: that a leaf is in the log, for those who have neither log nor daemon."""

import hashlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.failures import UsageError
from segel.cli.session import Session
from segeld.ctl.audit_command import (
    LOG_CODES,
    Archives,
    Dir,
    Key,
    OutputFile,
    audit_command,
    note_unread,
)
from segeld.ctl.audit_find import NOT_VERIFIED, Digest, File, Signature, nothing
from segeld.ctl.audit_key import parse_key
from segeld.ctl.audit_lookup import wanted
from segeld.ctl.new_file import new_file

PROVE = """\
Examples:
  segelctl audit prove --signature letter.sig --output letter.tlog-proof
  segelctl audit prove --leaf 4711 > intent.tlog-proof

Writes a proof in the format of c2sp.org/tlog-proof. It holds the leaf, so it shows the commitments and signature hashes of all items of that chunk, which say nothing to those who have not the salt. Who asked and with which key stands in the chunk's intent, a leaf of its own: its index is shown, and it is proven with --leaf.

Ends with 8 if nothing of that is in the log; with 1 if it may be in leaves that were archived. On a machine that has no log the daemon is asked, and its proof is checked here."""

CHECK_PROOF = """\
Examples:
  segelctl audit check-proof letter.tlog-proof --key audit-2026.pub --signature letter.sig

Needs no log. With --signature, checks as well that the leaf is about this very signature.

Ends with 1 if it is no proof, of another log, or about another signature; with 7 if it names this key and was changed: the leaf, the path, or the checkpoint whose signature is wrong then."""

CODES = (*LOG_CODES, ExitCode.NO_SIGNATURE)

Leaf = Annotated[int | None, typer.Option(metavar="INDEX", min=0, help="A leaf by its index.")]
ProofFile = Annotated[Path, typer.Argument(metavar="FILE", help="A proof.", show_default=False)]
SignatureFile = Annotated[
    Path | None,
    typer.Option("--signature", metavar="FILE", help="The signature that the leaf must be about."),
]


def register(group: typer.Typer) -> None:
    audit_command(group, "prove", epilog=PROVE, codes=CODES)(prove)
    audit_command(group, "check-proof", epilog=CHECK_PROOF, codes=CODES)(check_proof)


def prove(
    session: Session,
    folder: Dir = None,
    key: Key = None,
    leaf: Leaf = None,
    digest: Digest = None,
    file: File = None,
    signature: Signature = None,
    output: OutputFile = None,
    archives: Archives = None,
) -> ExitCode:
    """Write a proof that an item, or a leaf, is in the log."""
    from segeld.ctl.audit_source import source_of

    if sum(one is not None for one in (leaf, digest, file, signature)) != 1:
        raise UsageError("give one of FILE, --leaf, --digest and --signature")
    asked = [] if leaf is not None else wanted(digest=digest, file=file, signature=signature)
    source = source_of(session, folder, key, archives)
    if not source.verified:
        session.output.note(NOT_VERIFIED)
    proven = source.proof_of(asked) if leaf is None else source.proof(leaf)
    note_unread(session, source.unread)
    if proven is None:
        return nothing(session, source)
    if proven.note:
        session.output.note(proven.note)
    _write(session, output, proven.text)
    if session.json:
        session.output.record({"leaf": proven.leaf, "proof": proven.text.decode()})
    return ExitCode.OK


def _write(session: Session, output: Path | None, proof: bytes) -> None:
    """:raises UsageError: if the file is there already, or cannot be made."""
    if output is not None:
        with new_file(output) as file:
            file.write(proof)
    elif not session.json:
        session.output.write(proof)


def check_proof(
    session: Session, proof: ProofFile, key: Key = None, signature: SignatureFile = None
) -> ExitCode:
    """Check a proof with the log's public key alone."""
    from segeld.audit.leaf import HASH, Outcome, decode
    from segeld.audit.proof import MAX_PROOF, NoProof, Proof
    from segeld.ctl.audit_view import record, row

    if key is None:
        raise UsageError("check-proof needs --key with the log's public key")
    verifier = parse_key(key, Path("/nonexistent"))
    if str(proof) == "-":
        data = sys.stdin.buffer.read(MAX_PROOF)
    else:
        with proof.open("rb") as stream:
            data = stream.read(MAX_PROOF)
    try:
        found = Proof.parse(data)
        checkpoint = found.check(verifier)
    except NoProof as error:
        session.output.error(f"{proof}: {error}")
        return ExitCode.FAILED
    leaf = decode(found.leaf)
    if signature is not None:
        wanted = hashlib.sha256(signature.read_bytes()).digest()
        if not isinstance(leaf, Outcome) or wanted not in (
            leaf.signatures[at : at + HASH] for at in range(0, len(leaf.signatures), HASH)
        ):
            session.output.error(
                f"not about this signature: leaf {found.index} is in the log, but is about others"
            )
            return ExitCode.FAILED
    session.output.record(
        record(found.index, leaf) | {"origin": checkpoint.origin, "size": checkpoint.size, "proven": True},
        "proven",
        checkpoint.origin,
        *row(found.index, leaf),
    )
    return ExitCode.OK
