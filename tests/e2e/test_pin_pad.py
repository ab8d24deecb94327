"""A reader with its own keys: the officer starts the activation, and somebody types the PIN there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from served import wait_until
from token_office import Office

from segel_cards import PinModule
from segel_softhsm import Testbed


class PadOffice(Office):
    """The token segel-a, behind a module with a pad."""

    def __init__(self, folder: Path, bed: Testbed, more: str = "") -> None:
        self.pad = PinModule(folder, bed.module)
        self.pad.have_pad()
        self.key_name = f"keys/sha256-{bed.token('segel-a').key('seal-p256').spki_sha256}"
        self.pin = bed.token("segel-a").read_pin()
        token = f'label = "segel-a"\npin = {{ source = "pad" }}\n{more}'
        super().__init__(folder, bed, self.pad.path, {**bed.environment, **self.pad.environment}, token)

    def activating(self) -> "subprocess.Popen[str]":
        """`segelctl token activate`, which waits for the person at the reader."""
        return subprocess.Popen(
            [sys.executable, "-m", "segeld.ctl", "token", "activate", "card"],
            env={**os.environ, **self.officer_environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_asked(self, times: int = 1) -> None:
        """Until the reader shows that it wants the PIN."""
        wait_until(lambda: len(self.pad.logins) >= times, self.tail)


@pytest.fixture
def office(tmp_path: Path, testbed: Testbed) -> PadOffice:
    return PadOffice(tmp_path, testbed)


def test_the_pin_is_typed_at_the_reader(office: PadOffice) -> None:
    with office.serving() as client:
        office.wait_state("inactive")
        asking = office.activating()
        office.wait_asked()
        office.pad.type_pin(office.pin)
        out, err = asking.communicate(timeout=60)
        assert asking.returncode == 0, err
        assert "is active" in out
        assert "Type the PIN of tokens/card at the reader's own keys." in err
        assert client.signer(office.key_name).sign_digest(bytes(32))
    assert office.pad.logins == ["user pad"]


def test_a_person_who_cancels_is_not_asked_again(office: PadOffice) -> None:
    with office.serving():
        office.wait_state("inactive")
        asking = office.activating()
        office.wait_asked()
        office.pad.cancel()
        _, err = asking.communicate(timeout=60)
        assert asking.returncode != 0
        assert "cancel" in err
        office.wait_state("inactive")
        again = office.activating()
        office.wait_asked(2)
        office.pad.type_pin(office.pin)
        assert again.wait(60) == 0, again.communicate()
        again.communicate()
    assert office.pad.logins == ["user pad", "user pad"]


def test_a_pad_that_nobody_uses_is_given_up_in_time(tmp_path: Path, testbed: Testbed) -> None:
    office = PadOffice(tmp_path, testbed, "timeouts = { pinpad = 1.0 }")
    with office.serving():
        office.wait_state("inactive")
        asking = office.activating()
        office.wait_asked()
        _, err = asking.communicate(timeout=60)
        assert asking.returncode != 0, err
        office.wait_state("inactive")
    assert office.pad.logins == ["user pad"]
    assert office.pad.wrong_pins == 0


def test_a_wrong_pin_at_the_pad_costs_one_try(office: PadOffice) -> None:
    with office.serving():
        office.wait_state("inactive")
        asking = office.activating()
        office.wait_asked()
        office.pad.type_pin("999999")
        _, err = asking.communicate(timeout=60)
        assert asking.returncode != 0
        assert "refused the PIN" in err
    assert (office.pad.logins, office.pad.wrong_pins) == (["user pad"], 1)
