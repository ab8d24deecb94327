"""`segel pdf sign` and `segel pdf verify`, on real documents."""

import json
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from segel import errors
from segel.cli.exit_codes import ExitCode
from segel.cli.failures import explain
from segel.pdf import FieldTaken, PdfEncrypted


@pytest.fixture
def signed(run, client, letter) -> Path:
    assert run("pdf", "sign", letter.name).exit_code == 0
    return Path("surat-signed.pdf")


def test_signed_beside_the_document(run, client, letter, letter_bytes):
    answer = run("pdf", "sign", "--key", "keys/seal", "surat.pdf")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == "surat.pdf\tsurat-signed.pdf\n"
    assert letter.read_bytes() == letter_bytes
    said = subprocess.run(["pdfsig", "surat-signed.pdf"], capture_output=True, text=True, check=False).stdout
    assert "Signature is Valid." in said


def test_out_dir_keeps_the_names(run, client, letter):
    letter.rename("surat kedua – é.PDF")
    answer = run("pdf", "sign", "surat kedua – é.PDF", "--out-dir", "hasil/2026")
    assert answer.stdout == "surat kedua – é.PDF\thasil/2026/surat kedua – é.PDF\n"


def test_out_dir_where_the_document_is_refuses_to_write_over_it(run, client, letter, letter_bytes):
    answer = run("pdf", "sign", "surat.pdf", "--out-dir", ".", "--force")
    assert answer.exit_code == ExitCode.USAGE
    assert answer.stderr == "error: surat.pdf is an input and would be written over; nothing was done\n"
    assert letter.read_bytes() == letter_bytes


def test_in_place(run, client, letter, letter_bytes):
    letter.chmod(0o640)
    Path("tautan.pdf").symlink_to("surat.pdf")
    assert run("pdf", "sign", "--in-place", "tautan.pdf").exit_code == 0
    assert Path("tautan.pdf").is_symlink()
    assert letter.read_bytes().startswith(letter_bytes)
    assert letter.read_bytes() != letter_bytes
    assert stat.S_IMODE(letter.stat().st_mode) == 0o640


def test_in_place_keeps_a_document_that_cannot_be_signed(run, client, letter):
    letter.write_bytes(b"%PDF-1.4 broken")
    assert run("pdf", "sign", "--in-place", "surat.pdf").exit_code == ExitCode.FAILED
    assert letter.read_bytes() == b"%PDF-1.4 broken"
    assert [path.name for path in Path().iterdir()] == ["surat.pdf"]


def test_standard_input_to_standard_output(run, client, letter_bytes):
    answer = run("pdf", "sign", "-", given=letter_bytes)
    assert answer.exit_code == 0
    assert answer.stdout_bytes.startswith(letter_bytes)
    assert run("pdf", "verify", "-", given=answer.stdout_bytes).exit_code == ExitCode.SIGNER_NOT_CHECKED


def test_what_cannot_be_signed_is_left_out(run, client, letter, letter_bytes):
    Path("kosong.pdf").write_bytes(b"")
    Path("surat.docx").write_bytes(b"PK\x03\x04")
    Path("putus.pdf").write_bytes(letter_bytes[:900])
    Path("folder.pdf").mkdir()
    Path("tersegel.pdf").write_bytes(letter_bytes)
    Path("tersegel-signed.pdf").write_bytes(b"old")
    names = ["kosong.pdf", "surat.docx", "putus.pdf", "folder.pdf", "hilang.pdf", "tersegel.pdf", "surat.pdf"]
    answer = run("pdf", "sign", *names)
    assert answer.exit_code == ExitCode.FAILED
    assert answer.stdout == "surat.pdf\tsurat-signed.pdf\n"
    said = sorted(answer.stderr.splitlines())
    assert [line for line in said if "putus" not in line] == [
        "1 of 7 signed, 6 failed; what is signed lies in this folder",
        "error: folder.pdf: is a directory",
        "error: hilang.pdf: no such file or directory",
        "error: kosong.pdf: the file is empty",
        "error: surat.docx: this is not a PDF: it has no %PDF header",
        "error: tersegel.pdf: tersegel-signed.pdf exists already; give --force to replace it",
    ]
    assert any(line.startswith("error: putus.pdf: the PDF is damaged and cannot be read (") for line in said)
    assert Path("tersegel-signed.pdf").read_bytes() == b"old"
    assert not list(Path().glob(".*"))


def test_refusal_of_the_daemon_leaves_nothing(run, client, letter, signer, monkeypatch):
    async def refuse(digest: bytes) -> bytes:
        raise errors.Overloaded("Too much is waiting", reason="QUEUE_FULL")

    monkeypatch.setattr(signer, "sign_digest", refuse)
    answer = run("pdf", "sign", "surat.pdf")
    assert answer.exit_code == ExitCode.TRY_LATER
    assert [path.name for path in Path().iterdir()] == ["surat.pdf"]


def test_stamp_reason_and_field(run, client, letter):
    options = ["--visible", "--page", "1", "--box", "50, 50, 400, 120", "--text", "Dinas\\n{signer}"]
    answer = run(
        "pdf",
        "sign",
        "surat.pdf",
        *options,
        "--field",
        "Kepala",
        "--reason",
        "SK 5",
        "--location",
        "Denpasar",
    )
    assert (answer.exit_code, answer.stderr) == (0, "")
    text = subprocess.run(
        ["pdftotext", "-l", "1", "surat-signed.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "Dinas\nSegel Dinas Contoh" in text
    assert run("pdf", "verify", "surat-signed.pdf").stdout.split("\t")[2] == "Kepala"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--box", "1,2,3,4"], "give --visible as well"),
        (["--page", "1"], "--page, --box and --text say how the stamp looks; give --visible as well"),
        (["--visible", "--box", "1,2,3"], "--box is X1,Y1,X2,Y2 in whole points, not '1,2,3'"),
        (["--password-file", "nichts"], "--password-file nichts: No such file"),
        (["--in-place", "-o", "x"], "cannot be given together"),
        (["--algorithm", "MD5"], "'MD5' is no algorithm"),
    ],
)
def test_options_that_make_no_sense(options, text, run, client, letter):
    answer = run("pdf", "sign", "surat.pdf", *options)
    assert answer.exit_code == ExitCode.USAGE
    assert text in answer.stderr
    assert client.asked == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Dinas 漢", "--text: the stamp's text has '漢' (U+6F22), which the stamp's font lacks"),
        ("{signer} {foo}", "--text: the stamp's text has {foo}, which nothing fills in"),
    ],
)
def test_stamp_that_cannot_be_drawn(text, said, run, client, letter):
    answer = run("pdf", "sign", "surat.pdf", "--visible", "--text", text)
    assert answer.exit_code == ExitCode.USAGE
    assert said in answer.stderr
    assert client.asked == []


def test_name_in_the_certificate_that_cannot_be_drawn(run, client, letter, authority, signer):
    certificate = authority.certify("Дінас", signer.private_key).public_bytes(Encoding.DER)
    signer.key = replace(signer.key, certificate_chain=(certificate,))
    answer = run("pdf", "sign", "surat.pdf", "--visible")
    assert answer.exit_code == ExitCode.USAGE
    assert "the name in the certificate, Дінас, has 'Д' (U+0414)" in answer.stderr
    assert signer.asked == []
    assert run("pdf", "sign", "surat.pdf", "--visible", "--text", "{time}").exit_code == 0


def test_goes_on_where_it_stopped(run, client, letter, letter_bytes, signer):
    Path("lain.pdf").write_bytes(letter_bytes)
    assert run("pdf", "sign", "surat.pdf").exit_code == 0
    again = sorted(str(path) for path in Path().glob("*.pdf"))
    answer = run("pdf", "sign", "--skip-existing", *again)
    assert answer.exit_code == 0
    assert answer.stderr == "1 of 2 signed, 1 there already; what is signed lies in this folder\n"
    asked = len(client.asked)
    answer = run("pdf", "sign", "--skip-existing", *again)
    assert (answer.exit_code, answer.stderr) == (0, "0 of 2 signed, 2 there already\n")
    assert len(client.asked) == asked
    assert run("pdf", "sign", "--skip-existing", "--in-place", "surat.pdf").exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PdfEncrypted("the PDF is encrypted; give its password"),
            "give its password with --password-file FILE",
        ),
        (FieldTaken("the field Kepala is signed already"), "name another with --field NAME"),
    ],
)
def test_what_documents_need_is_named_as_an_option(error, said):
    assert explain(error).text.endswith(said)


def test_field_that_is_signed_names_the_option(run, client, letter):
    assert run("pdf", "sign", "surat.pdf", "--field", "Kepala", "-o", "satu.pdf").exit_code == 0
    answer = run("pdf", "sign", "satu.pdf", "--field", "Kepala")
    assert answer.stderr == (
        "error: satu.pdf: the field Kepala is signed already; name another with --field NAME\n"
    )


# verify


def test_verify_without_certificates(run, signed):
    answer = run("pdf", "verify", signed)
    assert answer.exit_code == ExitCode.SIGNER_NOT_CHECKED
    file, verdict, field, signer, _when, coverage, detail = answer.stdout.rstrip("\n").split("\t")
    assert (file, verdict, field, signer, coverage) == (
        "surat-signed.pdf", "intact", "Segel", "Segel Dinas Contoh", "whole document",
    )  # fmt: skip
    assert detail == "the signer was not checked: no trusted certificates were given; give --trust root.pem"


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_verify_trusted(encoding, run, signed, authority):
    Path("root").write_bytes(authority.root.public_bytes(encoding))
    answer = run("pdf", "verify", "--trust", "root", signed)
    assert answer.exit_code == ExitCode.OK
    assert "\ttrusted\t" in answer.stdout


def test_verify_untrusted(run, signed, other_authority):
    Path("root.pem").write_bytes(other_authority.root_pem)
    answer = run("pdf", "verify", "--trust", "root.pem", signed)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert "\tuntrusted\t" in answer.stdout


def test_verify_changed(run, signed):
    signed.write_bytes(signed.read_bytes().replace(b"/Rotate 0", b"/Rotate 9", 1))
    answer = run("pdf", "verify", signed)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert "\tbroken\t" in answer.stdout
    assert "what was signed has been changed" in answer.stdout


def test_verify_unsigned(run, client, letter):
    answer = run("pdf", "verify", "surat.pdf")
    assert answer.exit_code == ExitCode.NO_SIGNATURE
    assert answer.stdout == "surat.pdf\tunsigned\t\t\t\t\tthere is no signature\n"


def test_the_worst_of_several_decides(run, signed, letter):
    assert run("pdf", "verify", signed, letter).exit_code == ExitCode.NO_SIGNATURE
    answer = run("pdf", "verify", signed, "hilang.pdf", letter)
    assert answer.exit_code == ExitCode.FAILED
    assert answer.stderr == "error: hilang.pdf: no such file or directory\n"
    assert len(answer.stdout.splitlines()) == 2


def test_verify_json(run, signed):
    record = json.loads(run("pdf", "verify", "--json", signed).stdout)
    (signature,) = record.pop("signatures")
    assert record == {"file": "surat-signed.pdf", "verdict": "intact"}
    assert signature.pop("signed_at").startswith("20")
    assert signature == {
        "field": "Segel",
        "verdict": "intact",
        "signer": "Segel Dinas Contoh",
        "coverage": "whole document",
        "detail": "the signer was not checked: no trusted certificates were given",
    }


@pytest.mark.parametrize("content", [b"", b"text", b"\x30\x03\x02\x01\x00"])
def test_trust_that_is_no_certificate(content, run, signed):
    Path("root.pem").write_bytes(content)
    answer = run("pdf", "verify", "--trust", "root.pem", signed)
    assert answer.exit_code == ExitCode.USAGE
    assert answer.stderr == "error: --trust root.pem: there is no certificate in it\n"
