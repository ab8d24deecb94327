"""What is added to a sealed PDF later: time stamps and validation data change nothing, and nothing can hide in them."""

import asyncio
import io
import json
import re
from pathlib import Path

import pytest
from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pdf_log import Log, seal
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import ArrayObject, DictionaryObject, NumberObject, pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.signers import PdfTimeStamper
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore

from segel.cli.exit_codes import ExitCode
from segeld.ctl import audit_later
from segeld.ctl.audit_later_process import TIME_STAMP, VALIDATION_DATA, after_signatures
from segeld.ctl.audit_pdf import seals

NUMBER = NumberObject


class LyingStamper(DummyTimeStamper):
    """Stamps something else than it was asked for."""

    async def async_timestamp(self, message_digest, md_algorithm):
        return await super().async_timestamp(bytes(len(message_digest)), md_algorithm)


class Archivist:
    """Adds what keeps a signature verifiable for long (PAdES B-LT, B-LTA), and something else with it if asked to."""

    def __init__(self, authority, key) -> None:
        self.certificate = asn1_x509.Certificate.load(
            authority.certify("TSA", key).public_bytes(Encoding.DER)
        )
        self.key = keys.PrivateKeyInfo.load(
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        )

    def stamp(self, data: bytes, alter=lambda writer: None, stamper=DummyTimeStamper) -> bytes:
        writer, target = IncrementalPdfFileWriter(io.BytesIO(data), strict=False), io.BytesIO()
        alter(writer)
        stamping = PdfTimeStamper(stamper(self.certificate, self.key))
        asyncio.run(stamping.async_timestamp_pdf(writer, "sha256", output=target))
        return target.getvalue()

    def store(self, data: bytes, alter=lambda writer: None) -> bytes:
        writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        store = DocumentSecurityStore.supply_dss_in_writer(writer, None, certs=[self.certificate])
        writer.root["/DSS"] = (
            writer.add_object(store.as_pdf_object()) if store.modified else writer.root["/DSS"]
        )
        alter(writer)
        writer.update_root()
        return written(writer)


def written(writer) -> bytes:
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def updated(data: bytes, alter) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    alter(writer)
    return written(writer)


@pytest.fixture(scope="module")
def archivist(authority, private_keys) -> Archivist:
    return Archivist(authority, private_keys["rsa"])


@pytest.fixture(scope="module")
def sealed(signer_for, letter_bytes) -> bytes:
    return seal(signer_for("ECDSA_P256_SHA256"), letter_bytes)


def judged(data: bytes) -> tuple[list[str], str]:
    """What was added after the first signature, and why it is a change."""
    found = after_signatures(io.BytesIO(data))[0]
    return found["added"], found["changed"]


def page_of(writer):
    return writer.root["/Pages"]["/Kids"][0].get_object()


def rotate(writer) -> None:
    page_of(writer)["/Rotate"] = NUMBER(90)
    writer.update_container(page_of(writer))


def other_text(writer) -> None:
    page_of(writer)["/Contents"] = writer.add_object(generic.StreamObject(stream_data=b"BT ET"))
    writer.update_container(page_of(writer))


def text_in_place(writer) -> None:
    ref = page_of(writer).raw_get("/Contents").reference
    writer.objects[(ref.generation, ref.idnum)] = generic.StreamObject(stream_data=b"BT ET")


def other_font(writer) -> None:
    fonts = page_of(writer)["/Resources"]["/Font"]
    font = fonts["/F1"]
    font["/BaseFont"] = pdf_name("/Symbol")
    writer.update_container(font)


def new_annotation(writer) -> None:
    page = page_of(writer)
    note = DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/FreeText"),
            pdf_name("/Rect"): ArrayObject(map(NUMBER, (0, 0, 500, 800))),
            pdf_name("/Contents"): generic.TextStringObject("Rp 1.000.000.000"),
        }
    )
    page["/Annots"] = ArrayObject([*page.get("/Annots", ()), writer.add_object(note)])
    writer.update_container(page)


def other_title(writer) -> None:
    info = writer.trailer["/Info"]
    info["/Title"] = generic.TextStringObject("Surat Keputusan yang lain")
    writer.update_container(info)


def new_appearances(writer) -> None:
    form = writer.root["/AcroForm"]
    form["/NeedAppearances"] = generic.BooleanObject(True)
    writer.update_container(form)


def other_resources_of_form(writer) -> None:
    form = writer.root["/AcroForm"]
    form["/DR"] = DictionaryObject({pdf_name("/Font"): page_of(writer)["/Resources"].raw_get("/Font")})
    writer.update_container(form)


def layers(writer) -> None:
    writer.root["/OCProperties"] = DictionaryObject({pdf_name("/OCGs"): ArrayObject()})
    writer.update_root()


def other_pages(writer) -> None:
    writer.root["/Pages"] = writer.add_object(DictionaryObject(writer.root["/Pages"]))
    writer.update_root()


def script(writer) -> None:
    writer.root["/OpenAction"] = DictionaryObject(
        {pdf_name("/S"): pdf_name("/JavaScript"), pdf_name("/JS"): generic.TextStringObject("app.alert(1)")}
    )
    writer.update_root()


ALTERATIONS = [rotate, other_text, text_in_place, other_font, new_annotation, other_title, new_appearances,
               other_resources_of_form, layers, other_pages, script]  # fmt: skip


def test_nothing_was_added(sealed):
    assert judged(sealed) == ([], "")


def test_time_stamps_and_validation_data(archivist, sealed):
    stamp, store = archivist.stamp, archivist.store
    assert judged(stamp(sealed)) == ([TIME_STAMP], "")
    assert judged(store(sealed)) == ([VALIDATION_DATA], "")
    assert judged(stamp(store(sealed))) == ([TIME_STAMP, VALIDATION_DATA], "")
    assert judged(stamp(stamp(store(stamp(store(sealed)))))) == ([TIME_STAMP, VALIDATION_DATA], "")


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_an_alteration_in_the_same_update(archivist, sealed, alter):
    stamped = (
        [] if alter is new_appearances else [archivist.stamp(sealed, alter)]
    )  # which takes that out again
    for data in (archivist.store(sealed, alter), *stamped):
        why = judged(data)[1]
        assert why, alter.__name__
        assert "octets were appended" not in why


@pytest.mark.parametrize("alter", [other_text, other_font, new_annotation, other_title])
def test_an_alteration_before_a_time_stamp_or_after_it(archivist, sealed, alter):
    """A good time stamp over all of it does not make it better: anybody can have one."""
    assert judged(archivist.stamp(archivist.store(updated(sealed, alter))))[1], alter.__name__
    assert judged(updated(archivist.stamp(sealed), alter))[1], alter.__name__


def test_an_update_that_adds_nothing_of_that(sealed):
    assert "neither a time stamp nor" in judged(updated(sealed, lambda writer: writer.update_root()))[1]
    free = judged(updated(sealed, lambda writer: writer.add_object(generic.StreamObject(stream_data=b"x"))))
    assert "neither a time stamp nor" in free[1]


def test_a_time_stamp_of_another_document(archivist, sealed):
    assert (
        "a time stamp that was added is not of this"
        in judged(archivist.stamp(sealed, stamper=LyingStamper))[1]
    )


@pytest.mark.parametrize("stamped", [True, False])
def test_trailing_octets(archivist, sealed, stamped):
    data = archivist.stamp(sealed) if stamped else sealed
    where = re.findall(rb"startxref\s+(\d+)", data)[-1]
    for more in (
        b"\n",
        b"\n% and more",
        b"3 0 obj\n<</Type /Page>>\nendobj\n",
        b"startxref\n%s\n%%%%EOF\n" % where,
        b"3 0 obj\n<</Type /Page>>\nendobj\nstartxref\n%s\n%%%%EOF\n" % where,
    ):
        assert "octets were appended" in judged(data + more)[1], more


def shadow(letter: bytes, prepare) -> bytes:
    """A letter that was made for a trick before it was signed."""
    return updated(letter, prepare)


def two_notes(writer) -> None:
    """The second one hides the first."""
    for _ in range(2):
        new_annotation(writer)


def test_annotations_change_places(archivist, signer, letter_bytes):
    sealed = seal(signer, shadow(letter_bytes, two_notes))
    assert judged(archivist.stamp(sealed)) == ([TIME_STAMP], "")

    def swap(writer) -> None:
        page = page_of(writer)
        first, second, *rest = page["/Annots"]
        page["/Annots"] = ArrayObject([second, first, *rest])
        writer.update_container(page)

    assert judged(archivist.stamp(sealed, swap))[1]


SEEN = {
    "five sides": (0, 0, 500, 800, 0),
    "three sides": (0, 0, 500),
    "a line": (0, 0, 500, 0),
    "all of the page": (0, 0, 500, 800),
}


def shown_field(sides, more=None):
    """A signature field that shows what was signed, hidden, with the document."""

    def add(writer) -> None:
        page = page_of(writer)
        field = DictionaryObject(
            {
                pdf_name("/FT"): pdf_name("/Sig"),
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name("/Widget"),
                pdf_name("/T"): generic.TextStringObject("More"),
                pdf_name("/Rect"): ArrayObject(map(NUMBER, sides)),
                pdf_name("/AP"): DictionaryObject({pdf_name("/N"): writer.root.raw_get("/Hidden")}),
                **(more(writer) if more else {}),
            }
        )
        ref = writer.add_object(field)
        page["/Annots"] = ArrayObject([*page.get("/Annots", ()), ref])
        writer.update_container(page)
        form = writer.root["/AcroForm"]
        form["/Fields"].append(ref)
        writer.update_container(form)

    return add


def hide(writer) -> None:
    form = generic.StreamObject(
        {pdf_name("/Type"): pdf_name("/XObject"), pdf_name("/Subtype"): pdf_name("/Form"),
         pdf_name("/BBox"): ArrayObject(map(NUMBER, (0, 0, 500, 800)))},
        stream_data=b"0 0 500 800 re f",
    )  # fmt: skip
    writer.root["/Hidden"] = writer.add_object(form)
    writer.update_root()


@pytest.mark.parametrize("sides", SEEN.values(), ids=SEEN)
def test_a_field_that_can_be_seen(archivist, signer, letter_bytes, sides):
    sealed = seal(signer, shadow(letter_bytes, hide))
    assert judged(archivist.stamp(sealed, shown_field(sides)))[1]


def test_a_field_that_cannot(archivist, signer, letter_bytes):
    sealed = seal(signer, shadow(letter_bytes, hide))
    assert judged(archivist.stamp(sealed, shown_field((7, 7, 7, 7)))) == ([TIME_STAMP], "")

    def acts(_writer):
        return {pdf_name("/AA"): DictionaryObject()}

    def looks(writer):
        return {
            pdf_name("/AP"): DictionaryObject(
                {pdf_name("/N"): writer.add_object(generic.StreamObject(stream_data=b""))}
            )
        }

    assert "has /AA" in judged(archivist.stamp(sealed, shown_field((7, 7, 7, 7), acts)))[1]
    assert "more was added than" in judged(archivist.stamp(sealed, shown_field((7, 7, 7, 7), looks)))[1]


def test_the_signature_is_put_in_once_more(archivist, sealed):
    """With the same range: then what stands before it would be taken for signed."""

    def again(writer) -> None:
        field = writer.root["/AcroForm"]["/Fields"][0].get_object()
        field["/V"] = writer.add_object(DictionaryObject(field["/V"]))
        writer.update_container(field)
        rotate(writer)

    assert judged(archivist.stamp(sealed, again))[1]


class TestSignedAgain:
    def test_as_it_was(self, archivist, signer, sealed):
        twice = seal(signer, archivist.stamp(archivist.store(sealed)), field="Two")
        for data, added in ((twice, []), (archivist.stamp(twice), [TIME_STAMP])):
            one, two = after_signatures(io.BytesIO(data))
            assert one["newest"] == two["newest"] == two["range"] != one["range"]
            assert (one["added"], one["changed"]) == (two["added"], two["changed"]) == (added, "")

    @pytest.mark.parametrize("alter", [rotate, other_text, text_in_place, other_font, new_annotation, layers])
    def test_changed_between(self, signer, sealed, alter):
        one, two = after_signatures(io.BytesIO(seal(signer, updated(sealed, alter), field="Two")))
        assert one["changed"], alter.__name__
        assert not two["changed"]

    def test_changed_after(self, archivist, signer, sealed):
        twice = archivist.stamp(seal(signer, sealed, field="Two"), rotate)
        assert all(one["changed"] for one in after_signatures(io.BytesIO(twice)))


def test_a_letter_with_faults_is_not_judged(archivist, signer, letter_bytes):
    """What readers put up with in different ways they may show in different ways."""
    assert b"/Size 10" in letter_bytes
    sealed = seal(signer, letter_bytes.replace(b"/Size 10", b"/Size 9 "))
    assert "its structure has faults" in judged(archivist.stamp(sealed))[1]
    twice = after_signatures(io.BytesIO(seal(signer, sealed, field="Two")))
    assert [one["changed"] for one in twice] == ["", ""], "it was judged before as well as it is now"


@pytest.fixture
def find(tmp_path, signer):
    """`segelctl audit find` of a file with these octets, all seals of which the log knows."""
    (tmp_path / "state").mkdir()
    path = tmp_path / "letter.pdf"

    def ask(data: bytes, *more: str):
        path.write_bytes(data)
        log = Log(tmp_path / "state")
        log.says(signer, *{one.value: None for one in seals(path)})
        return log.find(path, *more)

    return ask


def last_words(answer) -> list[str]:
    return [line.split("\t")[-1] for line in answer.stdout.splitlines()]


CHANGED = r"THE DOCUMENT WAS CHANGED after it was signed: \d+ octets were added"


def test_what_an_auditor_is_told(archivist, sealed, find):
    kept = archivist.stamp(archivist.store(sealed))
    answer = find(kept, "--json")
    assert answer.exit_code == ExitCode.OK
    document = json.loads(answer.stdout)["document"]
    words = "the document is unchanged; a time stamp and validation data were added later"
    assert (document["changed"], document["in_words"]) == (False, words)
    assert (document["added_later"], document["why_changed"]) == ([TIME_STAMP, VALIDATION_DATA], "")


def test_that_it_was_changed(archivist, sealed, find):
    answer = find(archivist.stamp(sealed, rotate), "--json")
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    document = json.loads(answer.stdout)["document"]
    assert document["changed"]
    assert re.fullmatch(CHANGED, document["in_words"])
    assert "Rotate" in document["why_changed"]


def test_that_it_was_signed_again(archivist, signer, sealed, find):
    twice = seal(signer, sealed, field="Two")
    answer = find(archivist.stamp(twice))
    assert answer.exit_code == ExitCode.OK
    one, two = last_words(answer)
    assert re.fullmatch(r"\d+ octets were added, and signed by signature 2; a time stamp after that", one)
    assert two == "the document is unchanged; a time stamp was added later"


def test_that_it_was_changed_and_signed_again(signer, sealed, find):
    answer = find(seal(signer, updated(sealed, other_text), field="Two"))
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    one, two = last_words(answer)
    assert re.fullmatch(CHANGED, one)
    assert two == "the document is unchanged"


def test_a_signature_that_is_only_written_there(signer, sealed, find):
    """In a comment, over all of the file: as if somebody had signed what was added."""
    changed = updated(sealed, other_text)
    cms = re.search(rb"/Contents (<[0-9A-F]{1000,}>)", sealed)[1]
    start = len(changed) + len(b"\n%")
    end = start + len(cms)
    tail = b" /ByteRange [0 %d %d %03d]\n"
    tail %= (start, end, len(tail % (start, end, 0)))
    answer = find(changed + b"\n%" + cms + tail)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert "signed by" not in answer.stdout


def test_a_signature_that_is_written_in_another_way(signer, sealed, find):
    """Readers find it, and it is not looked for in the log: so nobody could ask who made it."""
    twice = seal(signer, sealed, field="Two")
    head, _, tail = twice.rpartition(b"/ByteRange [")
    data = head + b"/ByteRange %\n[" + tail.replace(b"]  ", b"]", 1)
    assert len(data) == len(twice)
    (first, *others) = last_words(find(data))
    assert re.fullmatch(CHANGED, first)
    assert not others


def cannot_be_told(answer) -> str:
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    (words,) = last_words(answer)
    found = re.fullmatch(f"{CHANGED}, and what that is cannot be told: (.+)", words)
    assert found, words
    return found[1]


def test_what_pyhanko_cannot_read(sealed, find):
    assert "pyHanko cannot read it (" in cannot_be_told(find(sealed + b"startxref\n7\n%%EOF\n"))


def test_a_reference_that_waits_for_its_object(archivist, signer, letter_bytes, find):
    """Readers show nothing for an object that is not there; then it is added, and nothing that was there is changed."""

    def prepare(writer) -> None:
        page = page_of(writer)
        waiting = [generic.IndirectObject(number, 0, writer) for number in range(20, 60)]
        page["/Contents"] = ArrayObject([page.raw_get("/Contents"), *waiting])
        writer.update_container(page)

    def show(writer) -> None:
        for _ in range(10):
            writer.add_object(generic.StreamObject(stream_data=b"BT (Rp 1.000.000.000) Tj ET"))

    sealed = seal(signer, shadow(letter_bytes, prepare))
    assert find(sealed).exit_code == ExitCode.OK
    answer = find(archivist.store(sealed, show))
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert re.match(CHANGED, last_words(answer)[0])


@pytest.mark.parametrize(
    ("greed", "why"),
    [
        ("time", "reading it takes too long, or more memory than is allowed"),
        ("memory", "reading it takes more memory than is allowed"),
        ("none", "pyHanko cannot read it (second [31mline)"),
    ],
)
def test_bounds(archivist, sealed, find, monkeypatch, greed, why):
    monkeypatch.setattr(audit_later, "_PROGRAM", "greedy_reader")
    fakes = Path(__file__).parents[2] / "fakes"
    monkeypatch.setenv("PYTHONPATH", str(fakes))
    monkeypatch.setenv("GREEDY", greed)
    assert cannot_be_told(find(archivist.stamp(sealed))) == why


def test_a_process_that_hangs(archivist, sealed, find, monkeypatch):
    monkeypatch.setattr(audit_later, "_SECONDS", 0.01)
    assert cannot_be_told(find(archivist.stamp(sealed))) == "reading it takes too long"


def test_without_pyhanko(archivist, sealed, find, monkeypatch, tmp_path):
    (tmp_path / "pyhanko.py").write_text("raise ModuleNotFoundError('pyhanko')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "pip install 'segel[pdf]'" in cannot_be_told(find(archivist.stamp(sealed)))
