"""`python -m segeld.ctl.audit_later_process < FILE.pdf`: what was added to a PDF after each of its signatures, as JSON.

A process of its own, with limits: a PDF can be made so that whoever reads it needs hours, or all memory. Nothing that it
writes but one JSON array of objects `{range, newest, signature, added, changed}` is of use; whatever else happens, nothing is known.
"""

import hashlib
import json
import logging
import re
import resource
import sys
from typing import Any, BinaryIO, Final

MOST_MEMORY: Final = 3 << 30
MOST_SECONDS: Final = 60
"""Of processor time."""
MOST_SIGNATURES: Final = 200
_DEEPEST: Final = 50_000
_LONGEST_END: Final = 256
_END: Final = re.compile(rb"\s*(?:endobj)?\s*startxref\s+(\d{1,12})\s+%%EOF(?:\r\n|\r|\n)?")
"""What stands after the last cross-reference."""
TIME_STAMP: Final = "a time stamp"
VALIDATION_DATA: Final = "validation data"


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 1))
    logging.disable()
    sys.setrecursionlimit(_DEEPEST)  # chains of bookmarks are long in honest documents
    with open(sys.stdin.fileno(), "rb", closefd=False) as stream:
        json.dump(after_signatures(stream), sys.stdout)


def after_signatures(stream: BinaryIO) -> list[dict[str, Any]]:
    """For each signature of the form: its /ByteRange and the newest one's, SHA-256 of its value, what was added after the
    newest, and why the document is not what was signed, if it is not.

    :raises Exception: whatever pyHanko raises for what is no PDF, or a PDF that it cannot follow.
    """
    from pyhanko.pdf_utils.misc import PdfReadError
    from pyhanko.pdf_utils.reader import PdfFileReader

    try:
        return _judge(PdfFileReader(stream, strict=True), strict=True)
    except PdfReadError:
        # What has faults every reader mends in its own way: then less is said of it.
        return _judge(PdfFileReader(stream, strict=False), strict=False)


def _judge(reader: Any, *, strict: bool) -> list[dict[str, Any]]:
    from pyhanko.pdf_utils.crypt import AuthStatus
    from pyhanko.sign.fields import enumerate_sig_fields
    from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

    if reader.encrypted and reader.decrypt("").status is AuthStatus.FAILED:
        raise ValueError("it is encrypted")
    filled = list(enumerate_sig_fields(reader, filled_status=True))
    if len(filled) > MOST_SIGNATURES:
        raise ValueError(f"it has more than {MOST_SIGNATURES} signatures")
    regular: list[EmbeddedPdfSignature] = []
    stamps: list[EmbeddedPdfSignature] = []
    for name, _, field in filled:
        one = EmbeddedPdfSignature(reader, field, name)
        (stamps if _is_stamp(one) else regular).append(one)
    if not regular:
        return []
    newest = max(regular, key=_end)
    added, changed = _since_last(newest, stamps, strict=strict)
    return [
        {
            "range": _place(each),
            "newest": _place(newest),
            "signature": hashlib.sha256(each.signer_info["signature"].native).hexdigest(),
            "added": added,
            "changed": changed or ("" if each is newest else _between(each)),
        }
        for each in regular
    ]


def _is_stamp(signature: Any) -> bool:
    return bool(signature.signed_data["encap_content_info"]["content_type"].native == "tst_info")


def _place(signature: Any) -> list[int]:
    return [int(one) for one in signature.byte_range]


def _end(signature: Any) -> int:
    return sum(_place(signature)[2:4])


def _since_last(signature: Any, stamps: list[Any], *, strict: bool) -> tuple[list[str], str]:
    """What was added after the newest signature, and why that is a change; empty if it is none."""
    from pyhanko.sign.diff_analysis import DiffResult, SuspiciousModification
    from pyhanko.sign.validation.status import SignatureCoverageLevel

    from segeld.ctl.audit_later_rules import ONLY_VALIDATION, look_closer

    reader = signature.reader
    signature.coverage = signature.evaluate_signature_coverage()
    if signature.coverage is SignatureCoverageLevel.ENTIRE_FILE:
        return [], ""
    if not strict:
        return [], "its structure has faults, so that readers may see different things in it"
    last = reader.xrefs.total_revisions - 1
    if not _ends_there(reader, last):
        return [], "octets were appended that are no part of it"
    found = signature.evaluate_modifications(ONLY_VALIDATION)
    if not isinstance(found, DiffResult):
        return [], str(found)
    level = found.modification_level
    if level.value > 1:
        return [], "more was added than time stamps and validation data"
    old, new = (reader.get_historical_resolver(one) for one in (signature.signed_revision, last))
    try:
        look_closer(old, new)
    except SuspiciousModification as reason:
        return [], str(reason)
    later = [one for one in stamps if one.signed_revision > signature.signed_revision]
    if not all(map(_fits, later)):
        return [], "a time stamp that was added is not of this document"
    added = [TIME_STAMP] if later else []
    added += [VALIDATION_DATA] if _store_is_other(old, new) else []
    return added, "" if added else "what was added is neither a time stamp nor validation data"


def _between(signature: Any) -> str:
    """Why what was added until the newest signature is a change; empty if it is what further signing leaves."""
    from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, DiffResult, ModificationLevel

    signature.coverage = signature.evaluate_signature_coverage()
    found = signature.evaluate_modifications(DEFAULT_DIFF_POLICY)
    if not isinstance(found, DiffResult):
        return str(found)
    allowed = signature.docmdp_level
    if found.modification_level > ModificationLevel.FORM_FILLING or (
        allowed is not None and found.modification_level.value > allowed.value
    ):
        return "more was changed than signing again does"
    return ""


def _ends_there(reader: Any, revision: int) -> bool:
    """Whether the last revision is the end of the file, so that no reader looks for another one behind it."""
    from pyhanko.pdf_utils.generic import DictionaryObject, TrailerReference

    stream, section = reader.stream, reader.xrefs.get_xref_container_info(revision)
    stream.seek(section.end_location)
    if section.stream_ref is None:
        DictionaryObject.read_from_stream(stream, TrailerReference(reader))  # type: ignore[no-untyped-call]
    end = _END.fullmatch(stream.read(_LONGEST_END))
    return end is not None and int(end[1]) == reader.xrefs.get_startxref_for_revision(revision)


def _fits(stamp: Any) -> bool:
    """Whether it is a time stamp of this document. Who made it is not looked at."""
    from pyhanko.sign.validation.status import SignatureCoverageLevel

    content = stamp.signed_data["encap_content_info"]["content"].parsed
    imprint = content["message_imprint"]["hashed_message"].native
    covers = stamp.evaluate_signature_coverage() >= SignatureCoverageLevel.ENTIRE_REVISION
    return bool(covers and imprint == stamp.compute_digest())


def _store_is_other(old: Any, new: Any) -> bool:
    """Whether the document security store (ISO 32000-2, 12.8.4.3) is another one than before."""
    if "/DSS" not in new.root:
        return False
    store = new.root.raw_get("/DSS")
    if "/DSS" not in old.root or old.root.raw_get("/DSS") != store:
        return True
    return any(
        new.reader.xrefs.get_last_change(ref) > old.revision for ref in new.collect_dependencies(store)
    )


if __name__ == "__main__":
    main()
