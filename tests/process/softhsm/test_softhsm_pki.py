"""The certificates, judged by openssl and by the cryptography library."""

import datetime as dt
import ipaddress
import re
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEOPLE = {
    "backoffice": "caller/backoffice",
    "registry": "caller/registry",
    "stranger": "caller/stranger",
    "wayan": "officer/wayan",
    "made": "officer/made",
    "ketut": "auditor/ketut",
    "nyoman": "approver/nyoman",
    "backoffice-expired": "caller/backoffice",
    "foreign": "caller/backoffice",
}
FLAWED = ("backoffice-expired", "foreign")


def verify(root, chain, *options):
    """Verify a file's first certificate up to the root, with the file's others as help."""
    return subprocess.run(
        ["openssl", "verify", "-x509_strict", *options, "-CAfile", root, "-untrusted", chain, chain],
        capture_output=True,
        text=True,
        check=False,
    )


def load(path):
    return x509.load_pem_x509_certificates(path.read_bytes())


def all_keys(testbed):
    return [key for token in testbed.tokens for key in token.keys]


def test_every_seal_verifies_with_the_root_alone(shared_testbed):
    for key in all_keys(shared_testbed):
        result = verify(shared_testbed.pki.root_ca, key.chain)
        assert result.returncode == 0, result.stderr


def test_every_certificate_verifies_with_the_bundle(shared_testbed):
    pki = shared_testbed.pki
    leaves = [key.certificate for key in all_keys(shared_testbed)]
    leaves += [pki.server.cert_chain, pki.tsa.cert_chain, pki.ocsp.cert_chain]
    leaves += [identity.cert_chain for name, identity in pki.identities.items() if name not in FLAWED]
    result = subprocess.run(
        ["openssl", "verify", "-CAfile", pki.ca_bundle, *leaves], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(": OK") == len(leaves)


@pytest.mark.parametrize(
    ("purpose", "name"), [("sslserver", "server"), ("timestampsign", "tsa"), ("ocsphelper", "ocsp")]
)
def test_services_verify_for_their_purpose(shared_testbed, purpose, name):
    credential = getattr(shared_testbed.pki, name)
    result = verify(shared_testbed.pki.root_ca, credential.cert_chain, "-purpose", purpose)
    assert result.returncode == 0, result.stderr


def test_the_server_is_known_by_name_and_by_both_addresses(shared_testbed):
    chain = shared_testbed.pki.server.cert_chain
    for names in (
        ["-verify_hostname", "localhost"],
        ["-verify_ip", "127.0.0.1"],
        ["-verify_ip", "::1"],
    ):
        result = verify(shared_testbed.pki.root_ca, chain, "-purpose", "sslserver", *names)
        assert result.returncode == 0, result.stderr
    san = load(chain)[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in san.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert ipaddress.ip_address("::1") in san.get_values_for_type(x509.IPAddress)


@pytest.mark.parametrize("name", PEOPLE)
def test_a_client_has_exactly_one_uri_and_nothing_else_as_san(shared_testbed, name):
    identity = shared_testbed.pki.identities[name]
    leaf = load(identity.cert_chain)[0]
    san = list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    assert san == [x509.UniformResourceIdentifier(identity.uri)]
    assert identity.uri == f"spiffe://segel.test/{PEOPLE[name]}"
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    key = load_pem_private_key(identity.key.read_bytes(), password=None)
    assert key.public_key() == leaf.public_key()


def test_there_is_nobody_else(shared_testbed):
    assert set(shared_testbed.pki.identities) == set(PEOPLE)


@pytest.mark.parametrize("name", [name for name in PEOPLE if name not in FLAWED])
def test_good_clients_verify(shared_testbed, name):
    chain = shared_testbed.pki.identities[name].cert_chain
    result = verify(shared_testbed.pki.root_ca, chain, "-purpose", "sslclient")
    assert result.returncode == 0, result.stderr


def test_the_expired_client_fails_for_its_age_alone(shared_testbed):
    chain = shared_testbed.pki.identities["backoffice-expired"].cert_chain
    assert "certificate has expired" in verify(shared_testbed.pki.root_ca, chain).stderr
    assert verify(shared_testbed.pki.root_ca, chain, "-no_check_time").returncode == 0


def test_the_foreign_client_verifies_only_under_its_own_root(shared_testbed):
    pki = shared_testbed.pki
    chain = pki.identities["foreign"].cert_chain
    assert verify(pki.ca_bundle, chain).returncode != 0
    assert verify(pki.foreign_root_ca, chain).returncode == 0


def test_seals_are_an_organisations_and_can_bind(shared_testbed):
    for key in all_keys(shared_testbed):
        leaf, issuing, root = load(key.chain)
        assert load(key.certificate) == [leaf]
        named = {part.oid: part.value for part in leaf.subject}
        assert named == {
            NameOID.COUNTRY_NAME: "ID",
            NameOID.ORGANIZATION_NAME: "Pemerintah Provinsi Bali (TEST)",
            NameOID.ORGANIZATIONAL_UNIT_NAME: "Segel Elektronik",
            NameOID.COMMON_NAME: f"Segel Elektronik Uji {key.kind}",
        }
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert usage.value.digital_signature
        assert usage.value.content_commitment
        assert not usage.value.key_cert_sign
        assert [issuing, root] == [
            *load(shared_testbed.pki.issuing_ca),
            *load(shared_testbed.pki.root_ca),
        ]


def test_key_identifiers_join_each_certificate_to_its_issuer(shared_testbed):
    for key in all_keys(shared_testbed):
        for lower, upper in zip(load(key.chain)[:-1], load(key.chain)[1:], strict=True):
            issuer = lower.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
            subject = upper.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            assert issuer.key_identifier == subject.digest


def test_only_cas_may_issue_and_the_issuing_ca_only_leaves(shared_testbed):
    (root,) = load(shared_testbed.pki.root_ca)
    (issuing,) = load(shared_testbed.pki.issuing_ca)
    limits = [
        certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        for certificate in (root, issuing)
    ]
    assert [(limit.ca, limit.path_length) for limit in limits] == [(True, None), (True, 0)]


def test_validity_is_harmless_to_clock_skew(shared_testbed):
    now = dt.datetime.now(dt.UTC)
    for key in all_keys(shared_testbed):
        leaf = load(key.chain)[0]
        assert leaf.not_valid_before_utc < now - dt.timedelta(hours=23)
        assert now + dt.timedelta(days=700) < leaf.not_valid_after_utc


def test_certomancer_can_serve_exactly_these_certificates(shared_testbed, tmp_path):
    pki = shared_testbed.pki
    key = shared_testbed.token("segel-a").key("seal-p256")
    subprocess.run(
        [
            *(sys.executable, "-m", "certomancer", "--config", pki.certomancer_config),
            *("summon", "segel-test", "segel-a.seal-p256", tmp_path / "again.pem"),
        ],
        check=True,
        capture_output=True,
    )
    assert load(tmp_path / "again.pem") == load(key.certificate)


def test_the_tsa_answers_and_openssl_accepts_the_time_stamp(shared_testbed, tmp_path):
    query, answer = tmp_path / "query.tsq", tmp_path / "answer.tsr"
    bundle = shared_testbed.pki.ca_bundle
    configuration = tmp_path / "tsa.cnf"
    tsa = shared_testbed.pki.tsa
    configuration.write_text(
        "[tsa]\ndefault_tsa=t\n[t]\n"
        f"serial={tmp_path}/serial\nsigner_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256\n"
    )
    subprocess.run(
        ["openssl", "ts", "-query", "-data", bundle, "-sha256", "-cert", "-out", query],
        check=True,
        capture_output=True,
    )
    reply = ["openssl", "ts", "-reply", "-config", configuration, "-queryfile", query, "-out", answer]
    subprocess.run([*reply, "-signer", tsa.cert_chain, "-inkey", tsa.key], check=True, capture_output=True)
    subprocess.run(
        ["openssl", "ts", "-verify", "-in", answer, "-queryfile", query, "-CAfile", bundle],
        check=True,
        capture_output=True,
    )


def test_no_two_testbeds_share_a_ca_name(shared_testbed):
    (root,) = load(shared_testbed.pki.root_ca)
    assert re.search(r"Segel Test Root CA [0-9a-f]{8}$", root.subject.rfc4514_string().split(",")[0])
