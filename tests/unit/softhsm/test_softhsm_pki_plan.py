"""The configuration given to certomancer."""

import itertools
from datetime import UTC, datetime, timedelta

from segel_softhsm import pki_plan
from segel_softhsm.script import Seal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEAL = Seal(
    "segel-a.seal-p256", "p256", "keys/a/seal.pub.pem", "keys/a/seal.cert.pem", "keys/a/seal.chain.pem"
)


def planned():
    serials = itertools.count(1)
    chance = pki_plan.Chance("0123abcd", lambda: next(serials))
    config = pki_plan.whole_pki(NOW, chance)
    pki_plan.add_seal(config, SEAL, NOW, chance)
    return config


def certificates():
    return planned()["pki-architectures"]["segel-test"]["certs"]


def validity(name):
    return [
        datetime.fromisoformat(certificates()[name]["validity"][end]) for end in ("valid-from", "valid-to")
    ]


def test_serial_numbers_are_explicit_and_differ():
    serials = [spec["serial"] for spec in certificates().values()]
    assert len(set(serials)) == len(serials) == len(certificates())


def test_a_leaf_is_valid_since_yesterday_for_two_years():
    assert validity("client-backoffice") == [NOW - timedelta(days=1), NOW + timedelta(days=730)]


def test_the_expired_client_ended_yesterday():
    assert validity("client-backoffice-expired")[1] == NOW - timedelta(days=1)


def test_every_leaf_lives_within_its_issuer():
    for name, spec in certificates().items():
        start, end = validity(name)
        issuer_start, issuer_end = validity(spec["issuer"])
        assert issuer_start <= start < end <= issuer_end, name


def test_only_the_foreign_client_has_the_foreign_root():
    issued = [name for name, spec in certificates().items() if spec["issuer"] == pki_plan.FOREIGN_ROOT]
    assert issued == [pki_plan.FOREIGN_ROOT, "client-foreign"]


def test_a_seal_needs_no_private_key():
    key = planned()["keysets"]["segel-test"]["keys"][SEAL.name]
    assert key == {"path": SEAL.public_key, "public-only": True}


def test_a_settled_certificate_is_served_from_its_file():
    config = planned()
    pki_plan.settle(config, SEAL.name, SEAL.certificate)
    spec = config["pki-architectures"]["segel-test"]["certs"][SEAL.name]
    assert spec["certificate-file"] == SEAL.certificate
