"""Detached CMS, read by OpenSSL and by pyHanko."""

import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import cms as asn1
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from pyhanko.sign.validation import async_validate_detached_cms
from pyhanko_certvalidator import ValidationContext

from segel.cms import ALGORITHMS, CertificateError, CmsTemplate, certificate_parts, der

CONTENT = b"isi surat\r\nbaris kedua\n"
NOON = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)


async def seal(signer, content: bytes = CONTENT, moment: datetime | None = NOON) -> bytes:
    template = CmsTemplate.of(signer)
    return await template.sign(signer, hashlib.new(template.hash_name, content).digest(), moment)


def openssl_verify(
    tmp_path: Path, p7s: bytes, content: bytes, root: Path
) -> subprocess.CompletedProcess[str]:
    signature, data = tmp_path / "signature.p7s", tmp_path / "content.bin"
    signature.write_bytes(p7s)
    data.write_bytes(content)
    command = ["cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", str(signature)]
    command += ["-content", str(data), "-CAfile", str(root), "-purpose", "any", "-out", "/dev/null"]
    return openssl(command)


def openssl(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS.keys() - {"ED25519"}))
async def test_openssl_verifies_every_algorithm(algorithm, signer_for, tmp_path, root_pem):
    answer = openssl_verify(tmp_path, await seal(signer_for(algorithm)), CONTENT, root_pem)
    assert answer.returncode == 0, answer.stderr


async def test_openssl_verifies_ed25519_over_the_attributes(signer_for, tmp_path):
    """`openssl cms` of 3.0 knows no EdDSA (RFC 8419); `pkeyutl` does, on the attributes as they are signed."""
    signer = signer_for("ED25519")
    p7s = await seal(signer)
    info = asn1.ContentInfo.load(p7s)["content"]["signer_infos"][0]
    attributes, signature, key = tmp_path / "attributes", tmp_path / "signature", tmp_path / "key.der"
    attributes.write_bytes(info["signed_attrs"].untag().dump())
    signature.write_bytes(info["signature"].native)
    key.write_bytes(signer.key.public_key)
    command = ["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", str(key)]
    command += ["-in", str(attributes), "-sigfile", str(signature)]
    answer = openssl(command)
    assert answer.returncode == 0, answer.stderr + answer.stdout


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_pyhanko_verifies_every_algorithm(algorithm, signer_for, authority):
    content_info = asn1.ContentInfo.load(await seal(signer_for(algorithm)), strict=True)
    context = ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(authority.root.public_bytes(Encoding.DER))],
        allow_fetching=False,
    )
    status = await async_validate_detached_cms(
        CONTENT, content_info["content"], signer_validation_context=context
    )
    assert status.intact, status.summary()
    assert status.valid, status.summary()
    assert status.trusted, status.summary()
    assert status.signer_reported_dt == NOON


async def test_openssl_refuses_other_content(signer, tmp_path, root_pem):
    answer = openssl_verify(tmp_path, await seal(signer), CONTENT + b"!", root_pem)
    assert answer.returncode != 0


async def test_encoding_is_der(signer):
    """Decoded and encoded anew by asn1crypto, it is the same octets: sets are sorted, lengths are shortest."""
    p7s = await seal(signer)
    assert asn1.ContentInfo.load(p7s, strict=True).copy().dump(force=True) == p7s


async def test_signed_attributes_are_those_of_cades(signer):
    signed = asn1.ContentInfo.load(await seal(signer))["content"]
    attributes = signed["signer_infos"][0]["signed_attrs"]
    assert {attribute["type"].native for attribute in attributes} == {
        "content_type",
        "message_digest",
        "signing_time",
        "signing_certificate_v2",
        "cms_algorithm_protection",
    }


async def test_pdf_form_has_no_signing_time(signer):
    signed = asn1.ContentInfo.load(await seal(signer, moment=None))["content"]
    kinds = {attribute["type"].native for attribute in signed["signer_infos"][0]["signed_attrs"]}
    assert "signing_time" not in kinds


async def test_only_a_digest_is_sent(signer):
    await seal(signer)
    assert [len(asked) for asked in signer.asked] == [32]


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_max_size_is_enough(algorithm, signer_for):
    signer = signer_for(algorithm)
    size, bound = len(await seal(signer)), CmsTemplate.of(signer).max_size
    assert size <= bound < size + 400


async def test_key_without_certificate(signer_for):
    with pytest.raises(CertificateError, match="keys/sha256-p256 has no certificate"):
        CmsTemplate.of(signer_for("ECDSA_P256_SHA256", chain=()))


async def test_certificate_of_another_key(signer_for, authority, private_keys):
    stranger = authority.certify("Lain", private_keys["p384"])
    with pytest.raises(CertificateError, match="is for another key"):
        CmsTemplate.of(signer_for("ECDSA_P256_SHA256", chain=(stranger,)))


def test_unknown_algorithm():
    with pytest.raises(ValueError, match="ML_DSA_44 has no form in CMS"):
        CmsTemplate("ML_DSA_44", [b""])


@given(st.binary(max_size=64), st.integers(0, 400))
def test_broken_certificate_is_said_to_be_broken(noise, cut):
    whole = der.sequence(der.sequence(der.explicit(0, der.integer(2)), *[der.integer(n) for n in range(6)]))
    with pytest.raises(CertificateError, match="cannot be read"):
        certificate_parts(noise + whole[: cut % len(whole)])


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (65_536, "0203010000")],
)
def test_integer(value, encoded):
    assert der.integer(value).hex() == encoded


def test_time_after_2049_is_generalized():
    assert der.time(datetime(2050, 1, 1, tzinfo=UTC)) == b"\x18\x0f20500101000000Z"
    assert der.time(datetime(2049, 12, 31, tzinfo=UTC)) == b"\x17\x0d491231000000Z"


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 70_000])
def test_lengths_are_read_as_written(size):
    value = der.octets(bytes(size))
    assert der.children(der.sequence(value, der.NULL)) == [value, der.NULL]
