"""Test-only: tokens as they are found in the field, made on purpose. A good token has none of these.

Each function changes the testbed's description; `Testbed.load` shows the change, the testbed passed in does not.
"""

from collections.abc import Sequence

from segel_softhsm import layout
from segel_softhsm.errors import TestbedError
from segel_softhsm.kinds import KeyKind, check_kinds, check_label
from segel_softhsm.parts import TestCertificate, TestKey, TestToken
from segel_softhsm.provisioning import workshop
from segel_softhsm.record import Record, write_record
from segel_softhsm.testbed import Testbed
from segel_softhsm.workshop import KeyPlan, Work, lone_certificate


def add_key_with_same_id(testbed: Testbed, token: str, of_key: str, label: str) -> TestKey:
    """Generate a second key pair of the same kind and CKA_ID as `of_key`: which one is meant is then ambiguous."""
    other = Testbed.load(testbed.directory).token(token).key(of_key)
    (changed,) = _make(testbed, [token], KeyPlan(label, other.kind, cka_id=other.cka_id))
    return changed.key(label)


def add_bare_private_key(testbed: Testbed, token: str, label: str, kind: KeyKind = "p256") -> TestKey:
    """Generate a key of which the token has the private object only: no public object, no certificate.

    The public key and a certificate are still made, as files beside the token.
    """
    (changed,) = _make(testbed, [token], KeyPlan(label, kind, public_object=False, certificate_object=False))
    return changed.key(label)


def add_lone_certificate(testbed: Testbed, token: str, label: str, kind: KeyKind = "p256") -> TestCertificate:
    """Store a certificate for which the token has no key."""
    plan = KeyPlan(label, kind, origin="forgotten", public_object=False)
    (changed,) = _make(testbed, [token], plan)
    return lone_certificate(changed, label)[1]


def add_replicated_key(
    testbed: Testbed, tokens: Sequence[str], label: str, kind: KeyKind = "rsa2048"
) -> tuple[TestKey, ...]:
    """Put the same key on several tokens. It is made outside and imported, which no real key may be: CKA_LOCAL is false.

    Each token has its own CKA_ID and its own certificate for the one public key, as after a real cloning ceremony.
    """
    plan = KeyPlan(label, kind, origin="imported", material=label)
    return tuple(token.key(label) for token in _make(testbed, tokens, plan))


def _make(testbed: Testbed, labels: Sequence[str], plan: KeyPlan) -> list[TestToken]:
    check_label(plan.label)
    check_kinds([plan.kind])
    with workshop(testbed) as (shop, now):
        works = [Work(now.token(label), (plan,)) for label in labels]
        for work in works:
            if any((shop.directory / layout.KEYS / work.token.label).glob(f"{plan.label}.*")):
                raise TestbedError(
                    f"the token {work.token.label} has a key or certificate {plan.label} already"
                )
        made = shop.make(works)
        described = {token.label: token for token in made}
        if plan.origin == "forgotten":
            described = {token.label: lone_certificate(token, plan.label)[0] for token in made}
        tokens = tuple(described.get(token.label, token) for token in now.tokens)
        write_record(now.directory, Record(tokens, now.pki))
    return made
