"""Whatever may come back in the place of a certificate: what is refused, what is taken with a word, and what the word says."""

import contextlib

import pytest
from asn1crypto import (
    cms,
    pem,
    tsp,  # noqa: F401  # its names are known only if it is there before the first content type is made, for all of the run
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from key_bench import CA, KEY, NAME, SEAL
from status_authority import DAY, NOW, StatusAuthority, der

from segeld.model.faults import Fault, Reason
from segeld.office.certificate_files import MAX_CERTIFICATES, MAX_FILE

FOREIGN = ec.generate_private_key(ec.SECP256R1())
STRANGER = CA.issue("stranger", FOREIGN.public_key())
AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
PRIVATE = {
    "PKCS #8": FOREIGN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "SEC 1": FOREIGN.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    "encrypted": FOREIGN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
}


def text(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(signs, False, not signs, False, False, False, False, False, False)


def empty_pkcs7(**more: object) -> bytes:
    signed = {
        "version": "v1",
        "digest_algorithms": [],
        "encap_content_info": {"content_type": "data"},
        "signer_infos": [],
        **more,
    }
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)}).dump()


def refused(bench, data: bytes, wanted=None) -> str:
    """Nothing is kept of it, and the text ends with what to do."""
    with pytest.raises(Fault) as fault:
        bench.desk.certificates.examine(data, wanted)
    assert fault.value.reason is Reason.CERTIFICATE_INVALID
    assert fault.value.field == "data"
    assert bench.records.leaves == []
    assert not list(bench.folder.rglob("*"))
    return fault.value.text


OLD = StatusAuthority(at=NOW - 400 * DAY)


@pytest.mark.parametrize(
    ("data", "why", "what_to_do"),
    [
        (
            text(STRANGER),
            "for no key of the tokens that are active or were seen: CN=stranger for keys/",
            "key list",
        ),
        (text(OLD.seal(public_key=KEY)), "CN=seal expired on", "Ask the authority for a new one"),
        (
            text(CA.issue("seal", KEY, AUTHORITY)),
            "(CA:TRUE)",
            "Ask the authority for a certificate of a seal",
        ),
        (empty_pkcs7(), "PKCS #7 cannot be read", "Ask the authority for the certificate with its issuers"),
        (empty_pkcs7(certificates=[]), "PKCS #7 holds no certificate", "Ask the authority"),
        (bytes(pem.armor("PKCS7", empty_pkcs7(certificates=[]))), "PKCS #7 holds no", "Ask the authority"),
        (bytes(range(256)), "no certificate in PEM, DER or PKCS #7", "Ask the authority for one of these"),
        (SEAL.public_bytes(Encoding.DER)[:-1], "no certificate in PEM", "Ask the authority"),
        (b"", "no certificate in PEM", "Ask the authority"),
        (text(SEAL)[:-40], "cut short", "Send what the authority answered, as it came"),
        (bytes(pem.armor("CERTIFICATE REQUEST", b"x")), "it holds CERTIFICATE REQUEST, and no", "Send what"),
        (
            bytes(MAX_FILE + 1),
            f"{MAX_FILE + 1} octets; {MAX_FILE} is the limit",
            "Send the certificate and its",
        ),
        (
            text(*(CA.seal(public_key=KEY) for _ in range(MAX_CERTIFICATES + 1))),
            f"holds {MAX_CERTIFICATES + 1} certificates",
            "Send those of one chain alone",
        ),
        (
            pkcs12.serialize_key_and_certificates(None, FOREIGN, STRANGER, None, NoEncryption()),
            "no certificate in PEM",
            "Ask the authority",
        ),
    ],
    ids=[
        "another key",
        "expired",
        "an authority",
        "no certificates in PKCS #7",
        "empty PKCS #7",
        "empty PKCS #7 in PEM",
        "garbage",
        "cut DER",
        "nothing",
        "cut PEM",
        "a request",
        "huge",
        "too many",
        "PKCS #12",
    ],
)
async def test_what_is_refused_says_why_and_what_to_do(bench, data, why, what_to_do):
    told = refused(bench, data)
    assert why.lower() in told.lower()
    assert what_to_do in told


async def test_one_for_another_key_than_the_named_says_whose_it_is(bench):
    told = refused(bench, text(STRANGER, CA.certificate), NAME)
    assert f"not for {NAME}: CN=stranger for keys/sha256-" in told
    assert "CN=Issuing" not in told


@pytest.mark.parametrize("form", PRIVATE)
@pytest.mark.parametrize("cut", [None, 60], ids=["whole", "cut"])
async def test_a_private_key_is_refused_whatever_else_is_there_and_never_kept(bench, events, form, cut):
    key = PRIVATE[form][:cut]
    told = [refused(bench, data) for data in (key, text(SEAL) + key, key + text(SEAL, CA.certificate))]
    assert all("private key" in each and "send certificates alone" in each for each in told)
    line = key.splitlines()[1][:24].decode()
    assert line not in str((told, events, bench.records.kept, bench.records.leaves))


async def test_certificates_for_several_keys_are_refused_until_one_is_named(bench):
    second = ec.generate_private_key(ec.SECP256R1()).public_key()
    other = CA.seal(public_key=second)
    bench.tokens.also(second)
    assert "for several keys. Name the key" in refused(bench, text(SEAL, other))
    assert bench.desk.certificates.examine(text(other, SEAL), NAME).der[:1] == der(SEAL)


def taken(bench, *certificates: x509.Certificate):
    return bench.desk.certificates.examine(text(*certificates), None)


async def test_of_two_for_the_key_the_younger_is_taken_and_the_other_named(bench):
    older = StatusAuthority(at=NOW - DAY).seal(public_key=KEY, subject="older")
    found = taken(bench, older, SEAL, CA.certificate)
    assert found.der == der(SEAL, CA.certificate)
    assert found.warnings == ("Not of its chain, and left out: CN=older.",)


async def test_an_authoritys_for_the_same_key_does_not_hide_the_seals(bench):
    younger = StatusAuthority(at=NOW + DAY).issue("cross", KEY, AUTHORITY)
    assert taken(bench, younger, SEAL, CA.certificate).chain[0] == SEAL


async def test_one_that_is_not_valid_yet_is_left_until_it_is(bench):
    """It would be the youngest: the right one could not be used beside it, nor imported."""
    future = StatusAuthority(at=NOW + 100 * DAY)
    begins = f"{NOW + 70 * DAY:%Y-%m-%d %H:%M} UTC"
    told = refused(bench, text(future.seal(public_key=KEY), future.certificate))
    assert f"is valid only from {begins}" in told
    assert "nothing was stored. Import it when it has begun" in told
    assert taken(bench, future.seal(public_key=KEY), SEAL, CA.certificate).chain[0] == SEAL
    bench.now += 71 * 86_400
    assert taken(bench, future.seal(public_key=KEY), future.certificate).chain[0].not_valid_before_utc > NOW


async def test_a_gap_is_named_with_the_place_where_the_issuer_is(bench):
    bench.tokens.chain = ()  # no issuer is at hand
    place = x509.AccessDescription(
        AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.test/issuing.cer")
    )
    leaf = CA.issue("seal", KEY, x509.AuthorityInformationAccess([place]))
    (told,) = taken(bench, leaf).warnings
    assert told == (
        "Its chain has a gap: the certificate of CN=Issuing is missing. It can be had at http://ca.test/issuing.cer; "
        "import it together with the certificate."
    )


async def test_an_issuer_of_the_right_name_with_another_key_fills_no_gap(bench):
    bench.tokens.chain = ()  # no issuer is at hand
    namesake = StatusAuthority().certificate
    told = taken(bench, SEAL, namesake).warnings
    assert "the certificate of CN=Issuing is missing" in told[0]
    assert told[1] == "Not of its chain, and left out: CN=Issuing."


async def test_one_that_only_looks_as_if_it_had_issued_itself_has_a_gap(bench):
    bench.tokens.chain = ()  # no issuer is at hand
    assert "CN=Issuing is missing" in taken(bench, CA.seal(public_key=KEY, subject="Issuing")).warnings[0]


async def test_a_self_signed_one_is_taken_with_a_word(bench):
    own = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().public_key(own.public_key()).serial_number(1)
    builder = builder.subject_name(SEAL.subject).issuer_name(SEAL.subject)
    builder = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + 300 * DAY)
    bench.tokens.also(own.public_key())
    (told,) = taken(bench, builder.sign(own, hashes.SHA256())).warnings
    assert "issued by its own key, not by an authority" in told
    assert told.endswith("Send an authority a request.")


@pytest.mark.parametrize(("signs", "count"), [(True, 0), (False, 1)])
async def test_a_key_usage_that_does_not_sign_is_said(bench, signs, count):
    told = taken(bench, CA.issue("seal", KEY, usage(signs=signs)), CA.certificate).warnings
    assert len(told) == count
    assert all("digitalSignature" in each and "Ask the authority" in each for each in told)


async def test_what_openssl_trusts_is_read_as_well(bench):
    bench.tokens.chain = ()  # no issuer is at hand
    whole = SEAL.public_bytes(Encoding.DER) + bytes.fromhex("30030c0178")  # an alias
    assert bench.desk.certificates.examine(bytes(pem.armor("TRUSTED CERTIFICATE", whole)), None).der == der(
        SEAL
    )


WHOLE = (
    text(SEAL, CA.certificate),
    SEAL.public_bytes(Encoding.DER),
    pkcs7.serialize_certificates([SEAL, CA.certificate], Encoding.DER),
    pkcs7.serialize_certificates([SEAL, CA.certificate], Encoding.PEM),
)


@given(data=st.data(), whole=st.sampled_from(WHOLE))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_file_with_any_octets_changed_is_taken_or_refused(bench, data, whole):
    """Never anything else than a Fault, whatever the libraries below think of it."""
    octets = bytearray(whole)
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=4)
    ):
        octets[place] = value
    end = data.draw(st.integers(1, len(octets)))
    with contextlib.suppress(Fault):
        found = bench.desk.certificates.examine(bytes(octets[:end]), NAME)
        assert found.key == NAME
