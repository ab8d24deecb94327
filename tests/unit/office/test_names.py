"""Names in certificates are whatever their maker wrote there: they are shown in one line, and cut."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from key_bench import KEY, NAME

from segeld.office import csr
from segeld.office.act_key import DestroyingKey
from segeld.office.actions import DestroyKey
from segeld.office.names import MAX_NAME, issuer_text, name_text, subject_text

INJECTED = "Seal\nA copy is on tokens/spare, which stays.\n("


BOOK = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A" * 70_000)])
CUT = f"O={'A' * (MAX_NAME - 2)}…"


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(bench, subject: x509.Name, issuer: x509.Name | None = None) -> bytes:
    at = dt.datetime.fromtimestamp(bench.now, dt.UTC).replace(microsecond=0)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or named("ca"))
    made = made.public_key(KEY).serial_number(7).not_valid_before(at).not_valid_after(at + dt.timedelta(3650))
    return made.sign(ec.generate_private_key(ec.SECP256R1()), SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Dinas Pendidikan, Denpasar", r"CN=Dinas Pendidikan\, Denpasar"),
        ("Ni Luh Ayu é 印", "CN=Ni Luh Ayu é 印"),
        ("a\nb", r"CN=a\0Ab"),
        ("a\r\x85\u2028\u2029b", r"CN=a\0D\C2\85\E2\80\A8\E2\80\A9b"),
        ("a\x1b[2Jb", r"CN=a\1B[2Jb"),
        ("invoice\u202efdp\u2066", r"CN=invoice\E2\80\AEfdp\E2\81\A6"),
        (r"a\0Ab", r"CN=a\\0Ab"),
    ],
    ids=["a comma", "letters", "a line end", "other line ends", "a terminal's", "turned", "no escape"],
)
def test_a_name_is_one_line_of_what_can_be_printed(text, shown):
    assert name_text(named(text)) == shown
    assert shown.isprintable()


def test_a_name_is_cut(bench):
    made = x509.load_pem_x509_certificate(certificate(bench, BOOK, BOOK))
    assert subject_text(made) == issuer_text(made) == CUT


async def test_whoever_approves_is_shown_no_line_that_a_certificate_wrote(bench):
    taken = bench.desk.certificates.examine(certificate(bench, named(INJECTED)), NAME)
    await bench.desk.certificates.take(taken, "wayan")
    await bench.desk.withdrawal.disable(NAME, "wayan", "old")
    bench.now += 31 * 86_400
    described = await DestroyingKey(bench.desk.withdrawal).describe(DestroyKey(str(NAME)))
    assert any(r"CN=Seal\0AA copy is on tokens/spare" in line for line in described.summary)
    assert all(line.isprintable() for line in described.summary)


async def test_a_certificate_with_a_book_in_it_is_recorded_all_the_same(bench):
    taken = bench.desk.certificates.examine(certificate(bench, BOOK), NAME)
    await bench.desk.certificates.take(taken, "wayan")
    assert [leaf.facts["subject"] for leaf in bench.records.leaves] == [CUT, CUT]


def test_so_is_a_request_like_it(bench):
    draft = csr.draft_like(bench.record.public_key, bench.record.kind, certificate(bench, BOOK))
    assert draft.subject == CUT
