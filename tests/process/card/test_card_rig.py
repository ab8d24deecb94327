"""The rig itself: what the card remembers, and that nothing is left of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segel_cards import OPENSC, YKCS11, Card, CardError


def tool(card: Card, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["pkcs11-tool", "--module", str(card.module), *arguments],
        env={**os.environ, **card.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_was_spent_stays_spent(tmp_path: Path, cards_allowed: None) -> None:
    with Card(tmp_path, OPENSC) as card:
        serial = card.serial
        assert "CKR_PIN_INCORRECT" in tool(card, "--login", "--pin", "999999", "--list-objects").stderr
    with Card(tmp_path, OPENSC) as card:
        assert card.serial == serial
        status = card.control.status()
        assert (status.pin_tries, status.counters.verifies) == (2, 1)
        assert tool(card, "--login", "--pin", card.pin, "--list-objects").returncode == 0
        assert card.control.status().pin_tries == 3


def test_the_pin_is_changed(card: Card) -> None:
    changed = tool(card, "--login", "--pin", card.pin, "--change-pin", "--new-pin", "234567")
    assert changed.returncode == 0, changed.stderr
    assert card.control.status().counters.changes == 1
    assert tool(card, "--login", "--pin", "234567", "--list-objects").returncode == 0


def test_the_puk_unblocks(card: Card) -> None:
    card.control.set_tries(0)
    unlock = ["pkcs15-tool", "--unblock-pin", "--auth-id", "01", "--puk", card.puk, "--new-pin", "234567"]
    done = subprocess.run(
        unlock,
        env={**os.environ, **card.environment},
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    status = card.control.status()
    assert (status.pin_tries, status.counters.unblocks) == (3, 1)
    assert tool(card, "--login", "--pin", "234567", "--list-objects").returncode == 0


def test_one_rig_for_one_card(card: Card) -> None:
    with pytest.raises(CardError, match="another rig runs the card"):
        Card(card.folder, YKCS11).start()


def test_two_cards_do_not_see_each_other(card: Card, yubikey: Card) -> None:
    assert yubikey.label not in tool(card, "--list-slots").stdout
    card.control.remove()
    assert yubikey.control.status().inserted


def test_the_rig_ends_when_its_parent_is_killed(tmp_path: Path, cards_allowed: None) -> None:
    script = (
        "import sys; from pathlib import Path; from segel_cards import Card, OPENSC\n"
        "card = Card(Path(sys.argv[1]), OPENSC); card.start()\n"
        "print(card.environment['PCSCLITE_CSOCK_NAME'], flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    socket = Path(parent.stdout.readline().decode().strip())
    runtime = socket.parents[2]
    assert socket.exists()
    parent.send_signal(signal.SIGKILL)
    parent.communicate(timeout=30)
    with Card(tmp_path, OPENSC) as again:  # its lock is free: the rig has ended, and with it its pcscd
        assert again.control.status().inserted
    assert not runtime.exists()
