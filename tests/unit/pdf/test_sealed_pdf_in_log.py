"""A sealed PDF is found in an audit log by its signatures, whatever became of it since; and what became of it is said."""

import hashlib
import io
import json
import re

import pytest
from pdf_log import Log, seal
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from segel.cli.exit_codes import ExitCode
from segeld.ctl.audit_pdf import seals


@pytest.fixture
def log(tmp_path) -> Log:
    (tmp_path / "state").mkdir()
    return Log(tmp_path / "state")


@pytest.fixture
def known(log, signer, letter_bytes, tmp_path):
    """A sealed letter that the log knows."""
    path = tmp_path / "letter.pdf"
    path.write_bytes(seal(signer, letter_bytes))
    log.says(signer, *(one.value for one in seals(path)))
    return path


@pytest.mark.parametrize(
    "algorithm",
    ["RSA_PKCS1_SHA256", "RSA_PKCS1_SHA512", "RSA_PSS_SHA256", "RSA_PSS_SHA384", "ECDSA_P256_SHA256",
     "ECDSA_P384_SHA384", "ECDSA_P521_SHA512", "ED25519"],
)  # fmt: skip
def test_found_and_unchanged(log, signer_for, letter_bytes, tmp_path, algorithm):
    signer, path = signer_for(algorithm), tmp_path / "letter.pdf"
    path.write_bytes(seal(signer, letter_bytes))
    log.says(signer, *(one.value for one in seals(path)))
    answer = log.find(path)
    assert (answer.exit_code, answer.stderr) == (ExitCode.OK, "")
    key = hashlib.sha256(signer.key.public_key).hexdigest()
    assert answer.stdout == (
        f"signed for tax\t2026-09-21 14:13:20.000Z\tkeys/sha256-{key}\tleaf 2\tproven\tthe document is unchanged\n"
    )


def test_octets_that_were_appended(log, known):
    known.write_bytes(known.read_bytes() + b"\n% and a thousand more")
    answer = log.find(known)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    (line,) = answer.stdout.splitlines()
    assert line.startswith("signed for tax\t")
    assert line.endswith("\tproven\tTHE DOCUMENT WAS CHANGED after it was signed: 22 octets were added")


def test_an_incremental_update(log, known):
    writer = IncrementalPdfFileWriter(io.BytesIO(known.read_bytes()))
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    page["/Rotate"] = generic.NumberObject(90)
    writer.update_container(page)
    target = io.BytesIO()
    writer.write(target)
    known.write_bytes(target.getvalue())
    (found,) = [json.loads(line) for line in log.find(known, "--json").stdout.splitlines()]
    assert found["caller"] == "tax"
    assert found["proven"]
    assert found["document"]["changed"]
    assert re.search(r"CHANGED after it was signed: \d+ octets were added", found["document"]["in_words"])
    assert log.find(known).exit_code == ExitCode.BAD_SIGNATURE


def test_a_letter_that_was_rewritten(log, known):
    data = bytearray(known.read_bytes())
    data[data.index(b"/MediaBox") + 1] ^= 0x20
    known.write_bytes(data)
    answer = log.find(known)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert answer.stdout.endswith(
        "\tTHE DOCUMENT WAS CHANGED after it was signed: it is not what was signed\n"
    )


def test_a_seal_that_was_cut_out_and_put_into_another_letter(log, signer_for, letter_bytes, tmp_path):
    """Into the other letter's own attributes, so that its hash fits; the value is one that the log knows."""
    signer, path = signer_for("RSA_PKCS1_SHA256"), tmp_path / "letter.pdf"
    path.write_bytes(seal(signer, letter_bytes))
    (good,) = seals(path)
    log.says(signer, good.value)
    other = seal(signer, letter_bytes + b"\n")
    path.write_bytes(other)
    (bad,) = seals(path)
    theirs, ours = (one.value.hex().upper().encode() for one in (bad, good))
    assert other.count(theirs) == 1
    path.write_bytes(other.replace(theirs, ours))
    answer = log.find(path)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert answer.stdout.endswith("\tthe signature was COPIED FROM ANOTHER DOCUMENT into this one\n")


def test_the_certificate_is_not_of_the_key_that_the_log_names(log, signer_for, letter_bytes, tmp_path):
    signer, path = signer_for("ECDSA_P256_SHA256"), tmp_path / "letter.pdf"
    path.write_bytes(seal(signer, letter_bytes))
    log.says(signer_for("RSA_PKCS1_SHA256"), *(one.value for one in seals(path)))
    answer = log.find(path)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert "the certificate of that key is not in it" in answer.stdout


def test_two_signatures_one_line_each(log, signer, letter_bytes, tmp_path):
    path = tmp_path / "twice.pdf"
    path.write_bytes(seal(signer, seal(signer, letter_bytes, field="One"), field="Two"))
    one, two = seals(path)
    log.says(signer, two.value, one.value)
    answer = log.find(path)
    assert answer.exit_code == ExitCode.OK
    lines = [line.split("\t") for line in answer.stdout.splitlines()]
    assert [(line[0], line[4]) for line in lines] == [
        ("signature 1 of 2", "leaf 4"),
        ("signature 2 of 2", "leaf 2"),
    ]
    assert re.fullmatch(r"\d+ octets were added, and signed by signature 2", lines[0][-1])
    assert lines[1][-1] == "the document is unchanged"
    verbose = log.find(path, "--verbose").stdout
    assert "document\tsignature 2 of 2: the document is unchanged\n" in verbose


def test_two_signatures_one_of_which_is_from_elsewhere(log, signer, letter_bytes, tmp_path):
    path = tmp_path / "twice.pdf"
    path.write_bytes(seal(signer, seal(signer, letter_bytes, field="One"), field="Two"))
    log.says(signer, seals(path)[0].value)
    answer = log.find(path)
    assert answer.exit_code == ExitCode.FAILED
    first, second = answer.stdout.splitlines()
    assert first.startswith("signature 1 of 2\tsigned for tax\t")
    assert second == "signature 2 of 2\tnot in this log: made elsewhere, or in an earlier log"
    kinds = [json.loads(line)["kind"] for line in log.find(path, "--json").stdout.splitlines()]
    assert kinds == ["chunk", "missing"]


def test_none_of_them_is_known(log, signer, letter_bytes, tmp_path):
    path = tmp_path / "letter.pdf"
    path.write_bytes(seal(signer, letter_bytes))
    answer = log.find(path)
    assert (answer.exit_code, answer.stdout) == (ExitCode.NO_SIGNATURE, "")
    assert "the seals in this PDF were made elsewhere" in answer.stderr


def test_garbage_in_the_place_of_a_seal(log, known):
    """Each octet of the CMS changed in turn is found, or not, but never ends in a traceback."""
    data = known.read_bytes()
    start = data.index(b"/Contents <") + len(b"/Contents <")
    for at in range(start, start + 400, 7):
        known.write_bytes(data[:at] + (b"0" if data[at : at + 1] != b"0" else b"7") + data[at + 1 :])
        for one in seals(known):
            assert one.number == 1
