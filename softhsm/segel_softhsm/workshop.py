"""How keys come to be on tokens, with their certificates: the one way that provisioning and the odd cases share.

make or open the tokens, make the keys → write the public keys → issue the seals → store them on the tokens
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from segel_softhsm import layout, script
from segel_softhsm.child import Child
from segel_softhsm.kinds import KeyKind
from segel_softhsm.parts import TestCertificate, TestKey, TestToken

_PIN_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key to make. An imported one is the same key pair wherever `material` is the same."""

    label: str
    kind: KeyKind
    origin: Literal["generated", "imported", "forgotten"] = "generated"
    cka_id: str = ""  # hexadecimal; a new one is drawn if empty
    material: str = ""
    public_object: bool = True
    certificate_object: bool = True

    def step(self) -> script.AnyStep:
        """Return what the child has to do for it."""
        if self.origin == "generated":
            return script.GenerateKey(self.label, self.cka_id, self.kind, self.public_object)
        if self.origin == "imported":
            return script.ImportKey(self.label, self.cka_id, self.kind, self.material, self.public_object)
        return script.ForgetKey(self.label, self.cka_id, self.kind)


@dataclass(frozen=True, slots=True)
class Work:
    """A token, with the keys to make on it. A token without a serial is to be made."""

    token: TestToken
    plans: tuple[KeyPlan, ...]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where the work is done: the folder, the module, the environment of the children, and the lock they inherit."""

    directory: Path
    module: Path
    environment: dict[str, str]
    lock: int

    def new_token(self, label: str) -> TestToken:
        """Draw the PINs of a token to be made, and write them."""
        pins = self.directory / layout.PINS
        token = TestToken(label, "", pins / f"{label}.pin", pins / f"{label}.so-pin", ())
        for path in (token.pin_file, token.so_pin_file):
            layout.replace(path, f"{secrets.randbelow(10**_PIN_DIGITS):0{_PIN_DIGITS}}".encode())
        return token

    def make(self, works: Sequence[Work], *, create_pki: bool = False) -> list[TestToken]:
        """Do the work and return the tokens with their new keys, in order."""
        works = [Work(work.token, tuple(_with_id(plan) for plan in work.plans)) for work in works]
        with ExitStack() as stack:
            tokens = stack.enter_context(Child("_tokens", self.environment, self.lock))
            pki = stack.enter_context(Child("_pki", self.environment, self.lock))
            request = script.TokensRequest(
                str(self.module), tuple(_script(w.token, [plan.step() for plan in w.plans]) for w in works)
            )
            made = tokens.ask(request, script.TokensAnswer).tokens
            finished = [
                replace(
                    work.token, serial=answer.serial, keys=(*work.token.keys, *self._write_keys(work, answer))
                )
                for work, answer in zip(works, made, strict=True)
            ]
            new = list(zip(finished, works, strict=True))
            seals = tuple(self._seal(token, key) for token, work in new for key in _new_keys(token, work))
            pki.ask(script.PkiRequest(str(self.directory), seals, create_pki), script.PkiAnswer)
            stores = [
                _script(token, [_store(key) for key in _new_keys(token, work) if key.certificate_object])
                for token, work in new
            ]
            tokens.ask(script.TokensRequest(str(self.module), tuple(stores)), script.TokensAnswer)
        return finished

    def _write_keys(self, work: Work, answer: script.TokenAnswer) -> Iterator[TestKey]:
        folder = self.directory / layout.KEYS / work.token.label
        layout.make_private(folder)
        for plan, made in zip(work.plans, answer.keys, strict=True):
            public_key, certificate, chain = (
                folder / f"{plan.label}.{part}.pem" for part in ("pub", "cert", "chain")
            )
            layout.replace(public_key, made.pem.encode())
            yield TestKey(
                label=plan.label,
                cka_id=plan.cka_id,
                kind=plan.kind,
                origin="generated" if plan.origin == "generated" else "imported",
                public_object=plan.public_object,
                certificate_object=plan.certificate_object,
                spki_sha256=made.spki_sha256,
                public_key=public_key,
                certificate=certificate,
                chain=chain,
            )

    def _seal(self, token: TestToken, key: TestKey) -> script.Seal:
        paths = (
            str(path.relative_to(self.directory)) for path in (key.public_key, key.certificate, key.chain)
        )
        return script.Seal(f"{token.label}.{key.label}", key.kind, *paths)


def lone_certificate(token: TestToken, label: str) -> tuple[TestToken, TestCertificate]:
    """Take a key whose private half was forgotten out of a token's keys: what is left of it is a certificate."""
    key = token.key(label)
    certificate = TestCertificate(key.label, key.cka_id, key.certificate, key.chain)
    return replace(token, keys=tuple(other for other in token.keys if other is not key)), certificate


def _with_id(plan: KeyPlan) -> KeyPlan:
    return plan if plan.cka_id else replace(plan, cka_id=secrets.token_hex(8))


def _script(token: TestToken, steps: Sequence[script.AnyStep]) -> script.TokenScript:
    return script.TokenScript(token.label, token.read_pin(), token.read_so_pin(), token.serial, tuple(steps))


def _new_keys(token: TestToken, work: Work) -> tuple[TestKey, ...]:
    return token.keys[len(work.token.keys) :]


def _store(key: TestKey) -> script.StoreCertificate:
    return script.StoreCertificate(key.label, key.cka_id, key.certificate.read_text())
