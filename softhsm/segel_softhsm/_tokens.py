"""Child process: makes tokens, keys and objects through python-pkcs11 and a little ctypes.

The environment's SOFTHSM2_CONF decides which tokens the module shows. Started by `child.Child`.
"""

import ctypes

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import Attribute, CertificateType, ObjectClass, Session, Token, _pkcs11

from segel_softhsm._keys import KeyPair, generate, import_key, new_pair, public_answer
from segel_softhsm._serve import serve
from segel_softhsm.errors import TestbedError
from segel_softhsm.script import (
    AnyStep,
    ForgetKey,
    GenerateKey,
    ImportKey,
    MadePublicKey,
    StoreCertificate,
    TokenAnswer,
    TokensAnswer,
    TokenScript,
    TokensRequest,
)

_LABEL_BYTES = 32


def answer(request: TokensRequest) -> TokensAnswer:
    """Do what the request says on each token."""
    try:
        module = pkcs11.lib(request.module)
        material: dict[str, KeyPair] = {}
        return TokensAnswer(
            tuple(_play(module, request.module, script, material) for script in request.tokens)
        )
    except pkcs11.exceptions.PKCS11Error as error:
        raise TestbedError(f"SoftHSM2 answered {type(error).__name__} {error}".strip()) from error


def _play(module: _pkcs11.lib, path: str, script: TokenScript, material: dict[str, KeyPair]) -> TokenAnswer:
    token = _find(module, script) if script.serial else _make(module, path, script)
    keys = []
    with token.open(rw=True, user_pin=script.pin) as session:
        for step in script.steps:
            made = _do(session, step, material)
            if made is not None:
                keys.append(made)
    return TokenAnswer(token.serial.decode("ascii").strip(), tuple(keys))


def _find(module: _pkcs11.lib, script: TokenScript) -> Token:
    for token in module.get_tokens():
        if token.serial.decode("ascii").strip() == script.serial:
            return token
    raise TestbedError(f"the token {script.label} with serial {script.serial} is not there")


def _make(module: _pkcs11.lib, path: str, script: TokenScript) -> Token:
    """Initialise a free slot. python-pkcs11 has no C_InitToken, so it is called on the loaded module directly."""
    tokens = [(slot.slot_id, slot.get_token()) for slot in module.get_slots(token_present=True)]
    if any(token.label == script.label for _, token in tokens):
        raise TestbedError(
            f"there is a token {script.label} already; choose another label or start over with --fresh"
        )
    free = next(slot for slot, token in tokens if not token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED)
    so_pin = script.so_pin.encode()
    code = ctypes.CDLL(path).C_InitToken(
        ctypes.c_ulong(free), so_pin, ctypes.c_ulong(len(so_pin)), script.label.encode().ljust(_LABEL_BYTES)
    )
    if code:
        raise TestbedError(f"SoftHSM2 answered {code:#x} to C_InitToken for {script.label}")
    token = next(token for token in module.get_tokens() if token.label == script.label)
    with token.open(rw=True, so_pin=script.so_pin) as session:
        session.init_pin(script.pin)
    return token


def _do(session: Session, step: AnyStep, material: dict[str, KeyPair]) -> MadePublicKey | None:
    match step:
        case GenerateKey():
            return public_answer(step.label, generate(session, step))
        case ImportKey():
            if step.material not in material:
                material[step.material] = new_pair(step.kind)
            pair = material[step.material]
            import_key(session, step, pair)
            return public_answer(step.label, pair.public_key())
        case ForgetKey():
            return public_answer(step.label, new_pair(step.kind).public_key())
        case StoreCertificate():
            _store_certificate(session, step)
            return None


def _store_certificate(session: Session, step: StoreCertificate) -> None:
    certificate = x509.load_pem_x509_certificate(step.pem.encode())
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.CERTIFICATE,
            Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: False,
            Attribute.LABEL: step.label,
            Attribute.ID: bytes.fromhex(step.cka_id),
            Attribute.SUBJECT: certificate.subject.public_bytes(),
            Attribute.ISSUER: certificate.issuer.public_bytes(),
            Attribute.SERIAL_NUMBER: _der_integer(certificate.serial_number),
            Attribute.VALUE: certificate.public_bytes(Encoding.DER),
        }
    )


def _der_integer(number: int) -> bytes:
    content = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes((0x02, len(content))) + content


if __name__ == "__main__":
    serve(TokensRequest, answer)
