"""The test PKI as certomancer's configuration: plain dictionaries, no I/O, the clock and the randomness passed in.

Root and issuing CA certify seals, TLS peers, a time-stamping authority and an OCSP responder. A second root has one
client that nobody here trusts. No certificate names a URL, so validators do not go looking for one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from segel_softhsm import layout
from segel_softhsm.people import PEOPLE, Person
from segel_softhsm.script import Seal

ARCHITECTURE: Final = "segel-test"
ORGANISATION: Final = "Pemerintah Provinsi Bali (TEST)"
SERVICE_URLS: Final = "http://127.0.0.1:9000"  # where `certomancer animate` listens unless told otherwise

ROOT, ISSUING, FOREIGN_ROOT = "root-ca", "issuing-ca", "foreign-root-ca"
SERVER, TSA, OCSP = "server", "tsa", "ocsp"
AUTHORITIES: Final = (ROOT, ISSUING, FOREIGN_ROOT)

_DAY: Final = timedelta(days=1)
_CA_LIFE: Final = timedelta(days=3653)
_LEAF_LIFE: Final = timedelta(days=730)
_OLDEST_LEAF: Final = 15 * _DAY  # the expired client's; the CAs are older than every leaf

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chance:
    """What must differ from one PKI to the next: names of the CAs, and serial numbers (NSS refuses repetitions)."""

    suffix: str
    serial: Callable[[], int]


def client(person: Person) -> str:
    """Return the name of a client's certificate and key in the PKI."""
    return f"client-{person.name}"


def certificate_path(name: str) -> str:
    """Return where a certificate of the PKI goes, seals apart; relative to the testbed."""
    return f"{layout.PKI}/{name}.cert.pem"


def chain_path(name: str) -> str:
    """Return where the same certificate goes together with its issuing CA's."""
    return f"{layout.PKI}/{name}.chain.pem"


def key_path(name: str) -> str:
    """Return where the private key of a certificate of the PKI goes."""
    return f"{layout.PKI_KEYS}/{name}.key.pem"


def whole_pki(now: datetime, chance: Chance) -> Config:
    """Return the configuration of a new PKI, still without seals."""
    config: Config = {
        "external-url-prefix": SERVICE_URLS,
        "keysets": {ARCHITECTURE: {"keys": {}}},
        "pki-architectures": {
            ARCHITECTURE: {
                "keyset": ARCHITECTURE,
                "entity-defaults": {"country-name": "ID", "organization-name": ORGANISATION},
                "entities": {},
                "certs": {},
                "services": _services(),
            }
        },
    }
    born = now - _OLDEST_LEAF - _DAY
    for name, title, issuer, path_length in (
        (ROOT, "Segel Test Root CA", ROOT, None),
        (ISSUING, "Segel Test Issuing CA", ROOT, 0),
        (FOREIGN_ROOT, "Foreign Test Root CA", FOREIGN_ROOT, None),
    ):
        constraints = (
            {"ca": True} if path_length is None else {"ca": True, "path_len_constraint": path_length}
        )
        extensions = [
            {"id": "basic_constraints", "critical": True, "value": constraints},
            _key_usage("key_cert_sign", "crl_sign"),
        ]
        subject = {"common-name": f"{title} {chance.suffix}"}
        _add(
            config,
            chance,
            name,
            subject=subject,
            issuer=issuer,
            validity=(born, now + _CA_LIFE),
            extensions=extensions,
        )
    usual = (now - _DAY, now + _LEAF_LIFE)
    sign = _key_usage("digital_signature")
    localhost = [{"type": "dns-name", "value": "localhost"}]
    localhost += [{"type": "ip", "value": address} for address in ("127.0.0.1", "::1")]
    stamping = {"id": "extended_key_usage", "critical": True, "value": ["time_stamping"]}
    no_check = {"id": "ocsp_no_check", "value": None}
    for name, title, extensions in (
        (SERVER, "localhost", _tls(sign, "server_auth", localhost)),
        (TSA, "Segel Test TSA", [sign, stamping]),
        (OCSP, "Segel Test OCSP", [sign, _extended("ocsp_signing"), no_check]),
    ):
        subject = {"common-name": title}
        _add(config, chance, name, subject=subject, issuer=ISSUING, validity=usual, extensions=extensions)
    for person in PEOPLE:
        _add(
            config,
            chance,
            client(person),
            subject={"common-name": person.name},
            issuer=FOREIGN_ROOT if person.flaw == "foreign" else ISSUING,
            validity=(now - _OLDEST_LEAF, now - _DAY) if person.flaw == "expired" else usual,
            extensions=_tls(sign, "client_auth", [{"type": "uri", "value": person.uri}]),
        )
    return config


def add_seal(config: Config, seal: Seal, now: datetime, chance: Chance) -> None:
    """Add one organisation's seal certificate for a key whose public half alone is known."""
    subject = {
        "organizational-unit-name": "Segel Elektronik",
        "common-name": f"Segel Elektronik Uji {seal.kind}",
    }
    extensions = [_key_usage("digital_signature", "non_repudiation")]
    validity = (now - _DAY, now + _LEAF_LIFE)
    _add(config, chance, seal.name, subject=subject, issuer=ISSUING, validity=validity, extensions=extensions)
    config["keysets"][ARCHITECTURE]["keys"][seal.name] = {"path": seal.public_key, "public-only": True}


def settle(config: Config, name: str, certificate: str) -> None:
    """Note that a certificate is issued, so that certomancer will hand out this file and never make another."""
    config["pki-architectures"][ARCHITECTURE]["certs"][name]["certificate-file"] = certificate


def _add(
    config: Config,
    chance: Chance,
    name: str,
    *,
    subject: dict[str, str],
    issuer: str,
    validity: tuple[datetime, datetime],
    extensions: list[Config],
) -> None:
    architecture = config["pki-architectures"][ARCHITECTURE]
    architecture["entities"][name] = subject
    config["keysets"][ARCHITECTURE]["keys"][name] = {"path": key_path(name)}
    start, end = (moment.replace(microsecond=0).isoformat() for moment in validity)
    architecture["certs"][name] = {
        "subject": name,
        "issuer": issuer,
        "serial": chance.serial(),
        "validity": {"valid-from": start, "valid-to": end},
        "extensions": extensions,
    }


def _services() -> Config:
    return {
        "time-stamping": {TSA: {"signing-cert": TSA}},
        "ocsp": {ISSUING: {"for-issuer": ISSUING, "responder-cert": OCSP}},
        "crl-repo": {
            name: {"for-issuer": name, "simulated-update-schedule": "P1D"} for name in (ROOT, ISSUING)
        },
        "cert-repo": {name: {"for-issuer": name} for name in (ROOT, ISSUING)},
    }


def _tls(key_usage: Config, purpose: str, names: list[dict[str, str]]) -> list[Config]:
    san = {"id": "subject_alt_name", "smart-value": {"schema": "general-names", "params": names}}
    return [key_usage, _extended(purpose), san]


def _key_usage(*bits: str) -> Config:
    return {"id": "key_usage", "critical": True, "smart-value": {"schema": "key-usage", "params": list(bits)}}


def _extended(purpose: str) -> Config:
    return {"id": "extended_key_usage", "value": [purpose]}
