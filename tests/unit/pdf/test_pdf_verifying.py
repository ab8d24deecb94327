"""What `verify` says of documents that were touched after signing, or signed by somebody else."""

import io

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from segel.pdf import NotPdf, PdfDamaged, PdfSealer, Verdict, verify


@pytest.fixture
async def signed(signer, letter_bytes) -> bytes:
    target = io.BytesIO()
    await PdfSealer(signer).seal(io.BytesIO(letter_bytes), target)
    return target.getvalue()


async def report_of(document: bytes, *roots):
    return await verify(io.BytesIO(document), [root.public_bytes(Encoding.DER) for root in roots])


async def test_trusted_says_who_when_and_what(signed, authority):
    report = await report_of(signed, authority.root)
    (signature,) = report.signatures
    assert report.verdict is signature.verdict is Verdict.TRUSTED
    assert signature.signer == "Segel Dinas Contoh"
    assert signature.signed_at is not None
    assert signature.signed_at.tzinfo is not None
    assert (signature.field, signature.coverage, signature.detail) == ("Segel", "whole document", "")


async def test_without_certificates_the_signer_is_not_checked(signed):
    report = await report_of(signed)
    assert report.verdict is Verdict.INTACT
    assert report.signatures[0].detail == "the signer was not checked: no trusted certificates were given"


async def test_another_root(signed, other_authority):
    report = await report_of(signed, other_authority.root)
    assert report.verdict is Verdict.UNTRUSTED
    assert "not issued by any of those" in report.signatures[0].detail


async def test_one_octet_of_the_content_changed(signed, authority):
    at = signed.index(b"/Rotate 0") + len(b"/Rotate ")
    broken = signed[:at] + b"9" + signed[at + 1 :]
    report = await report_of(broken, authority.root)
    assert report.verdict is Verdict.BROKEN
    assert report.signatures[0].detail == "what was signed has been changed"


async def test_content_added_after_signing(signed, authority):
    writer = IncrementalPdfFileWriter(io.BytesIO(signed))
    page = writer.root["/Pages"]["/Kids"][0]
    page["/Contents"] = writer.add_object(generic.StreamObject(stream_data=b"BT ET"))
    writer.update_container(page)
    output = io.BytesIO()
    writer.write(output)
    report = await report_of(output.getvalue(), authority.root)
    assert report.verdict is Verdict.BROKEN
    assert report.signatures[0].detail == "the document was changed after signing"
    assert report.signatures[0].coverage == "the document before it was changed"


async def test_signature_of_garbage(signed):
    start = signed.index(b"/Contents <") + len(b"/Contents <")
    report = await report_of(signed[:start] + b"00" * 20 + signed[start + 40 :])
    assert report.verdict is Verdict.BROKEN
    assert "cannot be checked" in report.signatures[0].detail


async def test_signature_that_does_not_fit(signed, signer):
    """The last octets of the CMS are the signature itself."""
    start = signed.index(b"/Contents <") + len(b"/Contents <")
    hexed = signed[start : signed.index(b">", start)]
    end = start + len(hexed.rstrip(b"0"))
    broken = signed[: end - 6] + (b"1" if signed[end - 6 : end - 5] != b"1" else b"2") + signed[end - 5 :]
    report = await report_of(broken)
    assert report.verdict is Verdict.BROKEN
    assert report.signatures[0].detail == "the signature does not fit its certificate"


async def test_unsigned(letter_bytes):
    report = await report_of(letter_bytes)
    assert report.verdict is Verdict.UNSIGNED
    assert report.signatures == ()


async def test_the_worst_verdict_is_the_documents(signed, signer, authority, letter_bytes):
    at = signed.index(b"/Rotate 0") + len(b"/Rotate ")
    target = io.BytesIO()
    await PdfSealer(signer).seal(io.BytesIO(signed[:at] + b"9" + signed[at + 1 :]), target)
    report = await report_of(target.getvalue(), authority.root)
    assert [one.verdict for one in report.signatures] == [Verdict.BROKEN, Verdict.TRUSTED]
    assert report.verdict is Verdict.BROKEN


@pytest.mark.parametrize(
    ("document", "kind"), [(b"", NotPdf), (b"text", NotPdf), (b"%PDF-1.7\nxx", PdfDamaged)]
)
async def test_not_a_pdf(document, kind):
    with pytest.raises(kind):
        await report_of(document)
