"""Make a testbed, or find it made: `provision`, and `add_token` for tests that need one token more."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from segel_softhsm import conf, layout, pki_plan
from segel_softhsm.errors import TestbedError
from segel_softhsm.kinds import KINDS, KeyKind, check_kinds, check_label
from segel_softhsm.module import check_packages, find_module
from segel_softhsm.parts import Credential, Identity, TestPki, TestToken
from segel_softhsm.people import PEOPLE
from segel_softhsm.record import Record, read_record, write_record
from segel_softhsm.testbed import Testbed
from segel_softhsm.workshop import KeyPlan, Work, Workshop

MAIN: Final = "segel-a"
SECOND: Final = "segel-b"
_SECOND_KINDS: Final[tuple[KeyKind, ...]] = ("rsa2048", "p256")


def provision(directory: Path, *, fresh: bool = False, kinds: Sequence[KeyKind] | None = None) -> Testbed:
    """Return the testbed in a folder, made now if it is not there, or if `fresh`, or if an earlier run was interrupted.

    `kinds` are the keys of the main token: all five unless said otherwise.

    :raises TestbedError: the folder is not a testbed's, holds other keys than `kinds`, or something is not installed.
    """
    directory = directory.absolute()
    module = find_module()
    check_packages()
    wanted = None if kinds is None else check_kinds(kinds)
    conf.render(directory)  # refuse a path that SoftHSM2 cannot read before anything is written
    layout.claim(directory)
    with layout.locked(directory) as lock:
        record = None if fresh else read_record(directory)
        if record is None:
            record = _make(directory, module, lock, wanted or KINDS)
        testbed = Testbed(directory, module, record.tokens, record.pki)
        there = tuple(key.kind for key in testbed.token(MAIN).keys if key.label == f"seal-{key.kind}")
        if wanted is not None and set(wanted) != set(there):
            raise TestbedError(
                f"{directory} was made with the keys {','.join(there)}; use --fresh to make it anew"
            )
        conf.refresh(directory)
    return testbed


def add_token(testbed: Testbed, label: str, kinds: Sequence[KeyKind]) -> TestToken:
    """Make one more token with these keys, and add it to the testbed's description.

    `testbed` itself does not change; `Testbed.load` shows the new token. A kind may be asked for more than once.
    """
    plans: list[KeyPlan] = []
    check_label(label)
    for kind in kinds:
        check_kinds([kind])
        same = sum(plan.kind == kind for plan in plans)
        plans.append(KeyPlan(f"seal-{kind}-{same + 1}" if same else f"seal-{kind}", kind))
    with workshop(testbed) as (shop, now):
        if any(token.label == label for token in now.tokens):
            raise TestbedError(f"there is a token {label} already")
        (token,) = shop.make([Work(shop.new_token(label), tuple(plans))])
        write_record(now.directory, Record((*now.tokens, token), now.pki))
    return token


@contextlib.contextmanager
def workshop(testbed: Testbed) -> Iterator[tuple[Workshop, Testbed]]:
    """Lock a finished testbed and yield the means to change it, and what it holds now."""
    with layout.locked(testbed.directory) as lock:
        now = Testbed.load(testbed.directory)
        yield Workshop(now.directory, now.module, now.environment, lock), now


def _make(directory: Path, module: Path, lock: int, kinds: Sequence[KeyKind]) -> Record:
    layout.start_over(directory)
    conf.refresh(directory)
    shop = Workshop(directory, module, {"SOFTHSM2_CONF": str(directory / layout.SOFTHSM2_CONF)}, lock)
    works = [
        Work(shop.new_token(label), tuple(KeyPlan(f"seal-{kind}", kind) for kind in kinds_there))
        for label, kinds_there in ((MAIN, kinds), (SECOND, _SECOND_KINDS))
    ]
    record = Record(tuple(shop.make(works, create_pki=True)), _pki(directory))
    write_record(directory, record)
    return record


def _pki(directory: Path) -> TestPki:
    def credential(name: str) -> Credential:
        return Credential(directory / pki_plan.chain_path(name), directory / pki_plan.key_path(name))

    people = {person.name: (credential(pki_plan.client(person)), person.uri) for person in PEOPLE}
    return TestPki(
        root_ca=directory / pki_plan.certificate_path(pki_plan.ROOT),
        issuing_ca=directory / pki_plan.certificate_path(pki_plan.ISSUING),
        ca_bundle=directory / layout.CA_BUNDLE,
        foreign_root_ca=directory / pki_plan.certificate_path(pki_plan.FOREIGN_ROOT),
        server=credential(pki_plan.SERVER),
        tsa=credential(pki_plan.TSA),
        ocsp=credential(pki_plan.OCSP),
        identities={
            name: Identity(files.cert_chain, files.key, uri) for name, (files, uri) in people.items()
        },
        certomancer_config=directory / layout.CERTOMANCER,
    )
