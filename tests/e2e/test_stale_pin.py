"""`segeld serve` with a PIN that is wrong, again and again, however it ends: the device is not asked again."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from served import wait_until
from token_office import Office

from segel_cards import Card, PinModule
from segel_softhsm import Testbed

RESTARTS = int(os.environ.get("SEGEL_PIN_RESTARTS", "5"))
"""`make soak` has 20."""
WORKERS = 8
SECONDS = 60
"""For a daemon with all its workers to start and end on a slow machine."""
WRONG = "999999"


class StaleOffice(Office):
    """Its PIN file holds a wrong PIN."""

    def __init__(
        self,
        folder: Path,
        bed: Testbed,
        module: Path,
        environment: Mapping[str, str],
        workers: int,
        token: str,
    ) -> None:
        self.pin_file = folder / "pin"
        self.pin_file.write_text(WRONG)
        self.pin_file.chmod(0o600)
        source = f'pin = {{ source = "file", path = "{self.pin_file}" }}'
        super().__init__(folder, bed, module, environment, f"{token}\n{source}")
        self.config.write_text(self.config.read_text().replace("workers = 1", f"workers = {workers}"))


@pytest.mark.timeout((RESTARTS + 1) * SECONDS)
def test_a_stale_pin_costs_a_card_one_try_over_all_workers_and_restarts(
    tmp_path, testbed, card: Card
) -> None:
    there = StaleOffice(
        tmp_path, testbed, card.module, card.environment, WORKERS, f'serial = "{card.serial}"'
    )
    before = card.control.status()
    assert (before.pin_tries, before.counters.verifies) == (3, 0)
    began = time.monotonic()
    for number in range(RESTARTS):
        with there.serving(killed=number % 2 == 1):
            there.wait_state("locked")
    took = time.monotonic() - began
    after = card.control.status()
    print(
        f"\n{WORKERS} workers, {RESTARTS} restarts in {took:.0f} s, every other one by SIGKILL: PIN tries left "
        f"{before.pin_tries} -> {after.pin_tries}, VERIFY commands {before.counters.verifies} -> {after.counters.verifies}"
    )
    assert (after.pin_tries, after.counters.verifies, after.counters.wrong_pins) == (2, 1, 1)


def killed_in_its_login(there: Office, module: PinModule) -> None:
    """SIGKILL goes to the daemon itself while C_Login hangs. Returns when its children have gone with it."""
    before = len(module.logins)
    command = [sys.executable, "-m", "segeld", "serve", "--config", there.config]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(module.logins) > before, there.tail)
    finally:
        process.kill()
        process.communicate()  # it is theirs too


@pytest.mark.timeout(4 * SECONDS)
@pytest.mark.parametrize(("trusted", "tries"), [("true", 2), ("false", 1)])
def test_a_daemon_that_is_killed_in_each_login_makes_no_more_than_are_promised(
    tmp_path, testbed, trusted, tries
) -> None:
    """C_Login hangs, and with it all that can be known of it."""
    module = PinModule(tmp_path, testbed.module)
    environment = {**testbed.environment, **module.environment}
    token = f'label = "segel-a"\nflags_trusted = {trusted}'
    there = StaleOffice(tmp_path, testbed, module.path, environment, 2, token)
    module.hang()
    try:
        for done in range(tries):
            killed_in_its_login(there, module)
            assert module.logins == ["user"] * (done + 1)
        with there.serving():
            there.wait_state("locked")
            assert "segelctl token activate card" in there.token().state_reason
    finally:
        module.go_on()
    assert module.logins == ["user"] * tries


def test_a_damaged_guard_is_in_the_status_until_an_officer_has_activated_the_token(tmp_path, testbed) -> None:
    there = StaleOffice(tmp_path, testbed, testbed.module, testbed.environment, 1, 'label = "segel-a"')
    there.pin_file.write_text(testbed.token("segel-a").read_pin())
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "pin-guard").write_bytes(b"nonsense")
    with there.serving():
        there.wait_state("locked")
        shown = there.segelctl("status")
        assert "tokens/card: What it refused before is not known" in shown.stdout + shown.stderr
        done = there.segelctl("token", "activate", "card")
        assert done.returncode == 0, done.stderr
        shown = there.segelctl("status")
        assert shown.returncode == 0
        assert "is not known" not in shown.stdout + shown.stderr
