"""Signed PDFs, checked by poppler's pdfsig and by pyHanko; and those that cannot be signed."""

import asyncio
import io
import random
import subprocess
from pathlib import Path

import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign import fields, signers
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm, SigFieldSpec

from segel.cms import ALGORITHMS, CertificateError
from segel.pdf import (
    FieldTaken,
    NotPdf,
    PdfDamaged,
    PdfEncrypted,
    PdfError,
    PdfLocked,
    PdfSealer,
    SealOptions,
    SegelSigner,
    Stamp,
    StampMisplaced,
    StampUndrawable,
    Verdict,
    verify,
)


async def seal(
    signer, document: bytes, options: SealOptions | None = None, password: str | None = None
) -> bytes:
    target = io.BytesIO()
    sealer = PdfSealer(signer, options or SealOptions())
    await sealer.seal(io.BytesIO(document), target, password=password)
    return target.getvalue()


async def verdict_of(document: bytes, *roots) -> Verdict:
    from cryptography.hazmat.primitives.serialization import Encoding

    report = await verify(io.BytesIO(document), [root.public_bytes(Encoding.DER) for root in roots])
    return report.verdict


def pdfsig(tmp_path: Path, document: bytes) -> str:
    path = tmp_path / "for-pdfsig.pdf"
    path.write_bytes(document)
    command = ["pdfsig", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def text_of(path: Path, page: int) -> str:
    command = ["pdftotext", "-f", str(page), "-l", str(page), str(path), "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_every_algorithm_is_trusted(algorithm, signer_for, letter_bytes, authority):
    signed = await seal(signer_for(algorithm), letter_bytes)
    assert await verdict_of(signed, authority.root) is Verdict.TRUSTED


@pytest.mark.parametrize("algorithm", ["RSA_PKCS1_SHA256", "ECDSA_P256_SHA256", "ECDSA_P384_SHA384"])
async def test_poppler_says_valid(algorithm, signer_for, letter_bytes, tmp_path):
    said = pdfsig(tmp_path, await seal(signer_for(algorithm), letter_bytes))
    assert "Signature is Valid." in said
    assert "Signature Type: ETSI.CAdES.detached" in said
    assert "Total document signed" in said
    assert "Segel Dinas Contoh" in said


async def test_one_digest_leaves_the_machine(signer, letter_bytes):
    await seal(signer, letter_bytes)
    assert [len(asked) for asked in signer.asked] == [32]


async def test_the_original_is_kept_octet_for_octet(signer, letter_bytes):
    assert (await seal(signer, letter_bytes)).startswith(letter_bytes)


async def test_reason_and_location_are_written(signer, letter_bytes):
    options = SealOptions(reason="Surat Keputusan №5", location="Denpasar")
    reader = PdfFileReader(io.BytesIO(await seal(signer, letter_bytes, options)))
    (signature,) = reader.embedded_signatures
    assert signature.field_name == "Segel"
    assert signature.sig_object["/Reason"] == "Surat Keputusan №5"
    assert signature.sig_object["/Location"] == "Denpasar"
    assert "/M" in signature.sig_object


async def test_a_second_seal_takes_a_second_field(signer, letter_bytes, authority, tmp_path):
    twice = await seal(signer, await seal(signer, letter_bytes))
    report = await verify(io.BytesIO(twice))
    assert [one.field for one in report.signatures] == ["Segel", "Segel2"]
    assert [one.coverage for one in report.signatures] == [
        "whole document, signed or filled in further since",
        "whole document",
    ]
    assert await verdict_of(twice, authority.root) is Verdict.TRUSTED
    assert pdfsig(tmp_path, twice).count("Signature is Valid.") == 2


async def test_many_at_once_with_one_sealer(signer, letter_bytes):
    sealer = PdfSealer(signer)
    targets = [io.BytesIO() for _ in range(40)]
    await asyncio.gather(*(sealer.seal(io.BytesIO(letter_bytes), target) for target in targets))
    for target in targets:
        assert await verdict_of(target.getvalue()) is Verdict.INTACT


async def test_pyhankos_own_pipeline_signs_with_segel_signer(signer_for, letter_bytes, authority):
    writer = IncrementalPdfFileWriter(io.BytesIO(letter_bytes))
    metadata = signers.PdfSignatureMetadata(
        field_name="Own", subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256"
    )
    signed = await signers.async_sign_pdf(writer, metadata, SegelSigner(signer_for("RSA_PSS_SHA256")))
    assert await verdict_of(signed.getvalue(), authority.root) is Verdict.TRUSTED


# The visible stamp


async def test_stamp_is_drawn_on_the_last_page(signer, letter_bytes, tmp_path, authority):
    signed = await seal(signer, letter_bytes, SealOptions(stamp=Stamp()))
    path = tmp_path / "stamped.pdf"
    path.write_bytes(signed)
    text = [text_of(path, 1), text_of(path, 2)]
    assert "Ditandatangani secara elektronik oleh:" not in text[0]
    assert "Ditandatangani secara elektronik oleh:\nSegel Dinas Contoh\n20" in text[1]
    assert await verdict_of(signed, authority.root) is Verdict.TRUSTED


async def test_stamp_text_may_hold_anything(signer, letter_bytes, tmp_path):
    stamp = Stamp(page=1, box=(50, 50, 500, 120), text="100% {signer} %(x)s é {")
    path = tmp_path / "stamped.pdf"
    path.write_bytes(await seal(signer, letter_bytes, SealOptions(stamp=stamp)))
    text = text_of(path, 1)
    assert "100% Segel Dinas Contoh %(x)s é {" in text


@pytest.mark.parametrize("text", ["漢", "{other}", "\t"])
def test_stamp_text_that_cannot_be_drawn(text, signer):
    with pytest.raises(StampUndrawable):
        PdfSealer(signer, SealOptions(stamp=Stamp(text=text)))


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        (Stamp(page=3), "there is no page 3 for the stamp; the PDF has 2"),
        (Stamp(page=0), "there is no page 0"),
        (Stamp(page=-3), "there is no page -3"),
        (Stamp(box=(0, 0, 9999, 10)), "0,0,9999,10 is not on the page, which is 0,0,595,842"),
        (Stamp(box=(10, 10, 5, 20)), "is not on the page"),
    ],
)
async def test_stamp_that_has_no_place(stamp, text, signer, letter_bytes):
    with pytest.raises(StampMisplaced, match=text):
        await seal(signer, letter_bytes, SealOptions(stamp=stamp))
    assert not signer.asked


# Fields


def with_field(document: bytes, spec: SigFieldSpec) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(document))
    fields.append_signature_field(writer, spec)
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


async def test_empty_field_is_filled_when_named(signer, letter_bytes):
    form = with_field(letter_bytes, SigFieldSpec("Gubernur", box=(50, 50, 250, 120)))
    report = await verify(io.BytesIO(await seal(signer, form, SealOptions(field="Gubernur"))))
    assert [one.field for one in report.signatures] == ["Gubernur"]


async def test_empty_field_is_left_for_whom_it_waits(signer, letter_bytes):
    form = with_field(letter_bytes, SigFieldSpec("Gubernur", box=(50, 50, 250, 120)))
    report = await verify(io.BytesIO(await seal(signer, form)))
    assert [one.field for one in report.signatures] == ["Segel"]


async def test_signed_field_is_not_signed_again(signer, letter_bytes):
    once = await seal(signer, letter_bytes, SealOptions(field="Kepala"))
    with pytest.raises(FieldTaken, match="the field Kepala is signed already"):
        await seal(signer, once, SealOptions(field="Kepala"))


@pytest.mark.parametrize("name", ["", ".", "a..b", ".a"])
async def test_field_without_a_name(name, signer, letter_bytes):
    with pytest.raises(FieldTaken, match="name cannot be empty"):
        await seal(signer, letter_bytes, SealOptions(field=name))


# What an earlier signature allows


async def certified(signer, document: bytes, permission: MDPPerm, field: SigFieldSpec | None = None) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(document))
    if field is not None:
        fields.append_signature_field(writer, field)
    metadata = signers.PdfSignatureMetadata(
        field_name="Author",
        certify=True,
        docmdp_permissions=permission,
        subfilter=fields.SigSeedSubFilter.PADES,
        md_algorithm="sha256",
    )
    return (await signers.async_sign_pdf(writer, metadata, SegelSigner(signer))).getvalue()


async def test_certified_without_any_change(signer, letter_bytes):
    document = await certified(signer, letter_bytes, MDPPerm.NO_CHANGES)
    with pytest.raises(PdfLocked, match="its author allows no change"):
        await seal(signer, document)


@pytest.mark.parametrize("permission", [MDPPerm.FILL_FORMS, MDPPerm.ANNOTATE])
async def test_certified_takes_no_new_field(permission, signer, letter_bytes):
    document = await certified(signer, letter_bytes, permission)
    with pytest.raises(PdfLocked, match="only be signed in a field that its author left"):
        await seal(signer, document)


async def test_certified_is_signed_in_the_field_that_was_left(signer, letter_bytes, authority):
    document = await certified(signer, letter_bytes, MDPPerm.FILL_FORMS, SigFieldSpec("Segel"))
    signed = await seal(signer, document, SealOptions(field="Segel"))
    assert await verdict_of(signed, authority.root) is Verdict.TRUSTED


async def locking(signer, document: bytes, lock: FieldMDPSpec, permission: MDPPerm | None) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(document))
    fields.append_signature_field(writer, SigFieldSpec("Lain"))
    fields.append_signature_field(
        writer, SigFieldSpec("Kepala", field_mdp_spec=lock, doc_mdp_update_value=permission)
    )
    metadata = signers.PdfSignatureMetadata(
        field_name="Kepala", subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256"
    )
    return (await signers.async_sign_pdf(writer, metadata, SegelSigner(signer))).getvalue()


async def test_locked_by_an_approval_signature(signer, letter_bytes):
    lock = FieldMDPSpec(FieldMDPAction.INCLUDE, ["x"])
    document = await locking(signer, letter_bytes, lock, MDPPerm.NO_CHANGES)
    with pytest.raises(PdfLocked, match="the signature in Kepala allows no change after it"):
        await seal(signer, document)


async def test_field_locked_by_an_earlier_signature(signer, letter_bytes):
    document = await locking(signer, letter_bytes, FieldMDPSpec(FieldMDPAction.INCLUDE, ["Lain"]), None)
    with pytest.raises(PdfLocked, match="the signature in Kepala locks the field Lain"):
        await seal(signer, document, SealOptions(field="Lain"))


async def test_all_fields_locked(signer, letter_bytes):
    document = await locking(signer, letter_bytes, FieldMDPSpec(FieldMDPAction.ALL), None)
    with pytest.raises(PdfLocked, match="the signature in Kepala locks the field Segel"):
        await seal(signer, document)


async def test_lock_that_leaves_room_for_a_new_field(signer, letter_bytes, authority):
    document = await locking(signer, letter_bytes, FieldMDPSpec(FieldMDPAction.INCLUDE, ["Lain"]), None)
    assert await verdict_of(await seal(signer, document), authority.root) is Verdict.TRUSTED


async def test_field_that_asks_for_a_time_stamp(signer, letter_bytes):
    seed = fields.SigSeedValueSpec(timestamp_server_url="http://tsa.example", timestamp_required=True)
    form = with_field(letter_bytes, SigFieldSpec("TSA", seed_value_dict=seed))
    with pytest.raises(PdfLocked, match="asks for a time stamp"):
        await seal(signer, form, SealOptions(field="TSA"))


# What is not a PDF that can be signed


def encrypted(document: bytes, owner: str, user: str, **more) -> bytes:
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(document)))
    writer.encrypt(owner_pass=owner, user_pass=user, **more)
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


async def test_encrypted_without_password(signer, letter_bytes):
    with pytest.raises(PdfEncrypted, match="the PDF is encrypted; give its password"):
        await seal(signer, encrypted(letter_bytes, "pemilik", "baca"))


async def test_encrypted_with_wrong_password(signer, letter_bytes):
    with pytest.raises(PdfEncrypted, match="this password does not open it"):
        await seal(signer, encrypted(letter_bytes, "pemilik", "baca"), password="salah")


async def test_encrypted_with_empty_user_password_still_wants_one_to_sign(signer, letter_bytes):
    with pytest.raises(PdfEncrypted, match="give the password that its owner set"):
        await seal(signer, encrypted(letter_bytes, "pemilik", "", pdf_mac=False))


async def test_integrity_code_of_iso_32004(signer, letter_bytes):
    document = encrypted(letter_bytes, "pemilik", "baca", pdf_mac=True)
    with pytest.raises(PdfLocked, match="ISO 32004"):
        await seal(signer, document, password="pemilik")


async def test_encrypted_with_its_password(signer, letter_bytes, authority):
    from cryptography.hazmat.primitives.serialization import Encoding

    document = encrypted(letter_bytes, "pemilik", "baca", pdf_mac=False)
    signed = await seal(signer, document, password="pemilik")
    root = authority.root.public_bytes(Encoding.DER)
    report = await verify(io.BytesIO(signed), [root], password="baca")
    assert report.verdict is Verdict.TRUSTED
    with pytest.raises(PdfEncrypted):
        await verify(io.BytesIO(signed), [root])


async def test_password_for_reading_only(signer, letter_bytes):
    from pyhanko.pdf_utils.crypt.permissions import StandardPermissions

    perms = StandardPermissions.ALLOW_PRINTING | StandardPermissions.TOLERATE_MISSING_PDF_MAC
    document = encrypted(letter_bytes, "pemilik", "baca", pdf_mac=False, perms=perms)
    with pytest.raises(PdfLocked, match="for reading only"):
        await seal(signer, document, password="baca")
    assert await seal(signer, document, password="pemilik")


async def test_empty_file(signer):
    with pytest.raises(NotPdf, match="the file is empty"):
        await seal(signer, b"")


@pytest.mark.parametrize("content", [b"PK\x03\x04 docx", b"\x00" * 5000, b"surat keputusan"])
async def test_other_file(content, signer):
    with pytest.raises(NotPdf, match="not a PDF"):
        await seal(signer, content)


async def test_cut_off_anywhere(signer, letter_bytes):
    """A copy that broke off is damaged wherever it broke off; only what comes after the last mark may go."""
    for size in range(20, len(letter_bytes) - 10, 37):
        with pytest.raises(PdfError):
            await seal(signer, letter_bytes[:size])
    assert not signer.asked


async def test_damage_anywhere_is_a_pdf_error_or_still_signs(signer, letter_bytes):
    dice = random.Random(7)
    for _ in range(300):
        broken = bytearray(letter_bytes)
        for _ in range(dice.randint(1, 12)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        try:
            signed = await seal(signer, bytes(broken))
        except PdfError:
            continue
        else:
            assert signed.startswith(bytes(broken))


async def test_no_pages(signer):
    pdf = (
        b"%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\nxref\n0 2\n0000000000 65535 f \n0000000009 00000 n \n"
    )
    pdf += b"trailer\n<</Size 2/Root 1 0 R>>\nstartxref\n43\n%%EOF\n"
    with pytest.raises(PdfDamaged):
        await seal(signer, pdf)


async def test_key_without_certificate(signer_for):
    with pytest.raises(CertificateError):
        PdfSealer(signer_for("ECDSA_P256_SHA256", chain=()))


async def test_full_disk_is_not_a_damaged_pdf(signer, letter_bytes):
    class FullDisk(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await PdfSealer(signer).seal(io.BytesIO(letter_bytes), FullDisk())
    assert not signer.asked
