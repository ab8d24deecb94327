"""The daemon with a card that locks: every key signs, the card comes and goes, a wrong PIN costs one try."""

import os
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from token_office import Office

import segel
from segel import errors
from segel_cards import Card
from segel_cards.memory import SLOTS, Memory
from segel_softhsm import Testbed
from segeld.model.names import KeyName
from segeld.worker.public_keys import to_spki


class CardOffice(Office):
    def __init__(self, folder: Path, bed: Testbed, card: Card) -> None:
        self.card = card
        self.pin_file = folder / "pin"
        self.pin_file.write_text(card.pin)
        self.pin_file.chmod(0o600)
        token = f'serial = "{card.serial}"\npin = {{ source = "file", path = "{self.pin_file}" }}'
        super().__init__(folder, bed, card.module, card.environment, token)

    def key(self, slot: str) -> str:
        certificate = Memory.open(self.card.folder, SLOTS).memory.keys[slot].certificate
        return str(KeyName.of(to_spki(x509.load_der_x509_certificate(certificate).public_key())))


@pytest.fixture(params=["card", "yubikey"])
def any_card(request: pytest.FixtureRequest) -> Card:
    card: Card = request.getfixturevalue(request.param)
    return card


@pytest.fixture
def office(tmp_path: Path, testbed: Testbed, any_card: Card) -> CardOffice:
    folder = tmp_path / "office"
    folder.mkdir()
    return CardOffice(folder, testbed, any_card)


def test_every_key_signs_and_the_pin_is_typed_once(office: CardOffice) -> None:
    with office.serving() as client:
        office.wait_state("active")
        for slot in SLOTS:
            assert client.signer(office.key(slot)).sign_digest(bytes(32))
    counters = office.card.control.status().counters
    assert counters.wrong_pins == 0
    assert counters.verifies == 2  # the login, and one for the signature with 9C
    assert counters.signatures["9C"] == 1  # no probe was made with it
    assert counters.signatures["9A"] == 2  # one is the probe


def test_a_key_that_wants_its_pin_each_time_is_not_for_jobs(office: CardOffice) -> None:
    with office.serving() as client:
        office.wait_state("active")
        with pytest.raises(errors.SegelError, match="before every signature, so jobs may not use it"):
            client.jobs.create(office.key("9C"), [bytes(32)])
        digests = [bytes([number]) * 32 for number in range(3)]
        assert len(client.signer(office.key("9C")).sign_digests(digests)) == 3
    assert office.card.control.status().counters.signatures["9C"] == 3


def test_the_policy_may_allow_jobs_with_it(office: CardOffice) -> None:
    policy = office.folder / "policy.toml"
    policy.write_text(f'{policy.read_text()}[keys."{office.key("9C").removeprefix("keys/")}"]\nbulk = true\n')
    with office.serving() as client:
        office.wait_state("active")
        job = client.jobs.create(office.key("9C"), [bytes([number]) * 32 for number in range(4)])
        assert all(isinstance(one, segel.Signature) for one in job.results())
    counters = office.card.control.status().counters
    assert (counters.signatures["9C"], counters.verifies, counters.wrong_pins) == (4, 5, 0)


def test_the_card_comes_and_goes_and_the_daemon_stays(office: CardOffice) -> None:
    with office.serving() as client:
        office.wait_state("active")
        signer = client.signer(office.key("9D"))
        assert signer.sign_digest(bytes(32))
        office.card.control.remove()
        with pytest.raises(errors.SegelError):
            signer.sign_digest(bytes(32), timeout=5)
        office.wait_state("absent")
        office.card.control.insert()
        office.wait_state("active")
        assert signer.sign_digest(bytes(32))
    status = office.card.control.status()
    assert (status.pin_tries, status.counters.wrong_pins) == (3, 0)


def test_a_pin_that_is_changed_behind_its_back_costs_one_try(office: CardOffice) -> None:
    """A signature with 9C notices first: its login is refused, and nothing tries this PIN again."""
    with office.serving() as client:
        office.wait_state("active")
        signer = client.signer(office.key("9C"))
        assert signer.sign_digest(bytes(32))
        changed = subprocess.run(
            [
                *("pkcs11-tool", "--module", str(office.card.module), "--login", "--pin", office.card.pin),
                *("--change-pin", "--new-pin", "234567"),
            ],
            env={**os.environ, **office.card.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert changed.returncode == 0, changed.stderr
        with pytest.raises(errors.SegelError):
            signer.sign_digest(bytes(32), timeout=10)
        office.wait_state("locked")
        with pytest.raises(errors.SegelError):
            signer.sign_digest(bytes(32), timeout=5)
    status = office.card.control.status()
    assert (status.pin_tries, status.counters.wrong_pins) == (2, 1)


def test_a_locked_card_shows_as_such(office: CardOffice) -> None:
    office.card.control.set_tries(0)
    with office.serving():
        office.wait_state("locked")
        assert "locked" in office.token().state_reason
    assert office.card.control.status().counters.verifies == 0
