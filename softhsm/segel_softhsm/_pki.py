"""Child process: issues certificates with certomancer, and keeps its configuration in the testbed.

Certificates already issued are named in that configuration as files, so that serving it (`certomancer animate`) or
adding a seal never makes a second certificate of the same serial number. Started by `child.Child`.
"""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import yaml
from asn1crypto import pem
from certomancer.registry import ArchLabel, CertLabel, CertomancerConfig, PKIArchitecture
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from segel_softhsm import layout, pki_plan
from segel_softhsm._serve import serve
from segel_softhsm.pki_plan import Chance, Config
from segel_softhsm.script import PkiAnswer, PkiRequest

_SERIAL_BITS: Final = 126


def answer(request: PkiRequest) -> PkiAnswer:
    """Issue what the request asks for."""
    directory = Path(request.directory)
    now = datetime.now(UTC)
    chance = Chance(secrets.token_hex(4), lambda: secrets.randbits(_SERIAL_BITS) | 1)
    if request.create:
        config = pki_plan.whole_pki(now, chance)
        for name in config["keysets"][pki_plan.ARCHITECTURE]["keys"]:
            _write_key(directory / pki_plan.key_path(name))
    else:
        config = yaml.safe_load((directory / layout.CERTOMANCER).read_bytes())
    own = [name for name in _certificates(config) if request.create]
    for seal in request.seals:
        pki_plan.add_seal(config, seal, now, chance)

    built = CertomancerConfig(config, key_search_dir=str(directory), config_search_dir=str(directory))
    architecture = built.get_pki_arch(ArchLabel(pki_plan.ARCHITECTURE))
    for name in own:
        _write(directory, pki_plan.certificate_path(name), architecture, [name])
        pki_plan.settle(config, name, pki_plan.certificate_path(name))
        if name not in pki_plan.AUTHORITIES:
            _write(
                directory, pki_plan.chain_path(name), architecture, [name, *_issuers(architecture, name)[:-1]]
            )
    for seal in request.seals:
        _write(directory, seal.certificate, architecture, [seal.name])
        _write(directory, seal.chain, architecture, [seal.name, *_issuers(architecture, seal.name)])
        pki_plan.settle(config, seal.name, seal.certificate)
    if request.create:
        _write(directory, layout.CA_BUNDLE, architecture, [pki_plan.ROOT, pki_plan.ISSUING])
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    layout.replace(directory / layout.CERTOMANCER, text.encode())
    return PkiAnswer(len(own) + len(request.seals))


def _certificates(config: Config) -> list[str]:
    return list(config["pki-architectures"][pki_plan.ARCHITECTURE]["certs"])


def _issuers(architecture: PKIArchitecture, name: str) -> list[str]:
    """Return the chain above a certificate, the root last."""
    return [label.value for label in architecture.get_chain(CertLabel(name))]


def _write(directory: Path, relative: str, architecture: PKIArchitecture, names: Iterable[str]) -> None:
    content = b"".join(
        pem.armor("CERTIFICATE", architecture.get_cert(CertLabel(name)).dump()) for name in names
    )
    layout.replace(directory / relative, content)


def _write_key(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    layout.replace(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


if __name__ == "__main__":
    serve(PkiRequest, answer)
