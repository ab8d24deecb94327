"""`[notify]` of a real daemon: somebody is told what needs them."""

import json
import re
from pathlib import Path

import pytest
from served import Served, wait_until

from segel_softhsm import provision


@pytest.fixture
def served(tmp_path):
    """A daemon that tells whatever it has to tell to a file, and whose token waits for a typed PIN."""
    (tmp_path / "place").mkdir()
    heard = tmp_path / "heard"
    program = tmp_path / "tell"
    program.write_text(f'#!/bin/sh\ncat >> {heard}\necho "told $1" >&2\n')
    program.chmod(0o755)
    bed = provision(tmp_path / "bed", kinds=["p256"])
    made = Served(tmp_path / "place", bed, limits=f'\n[notify]\ncommand = ["{program}", "officers"]\n')
    made.heard = heard
    by_hand = re.sub("^pin = .*$", 'pin = { source = "prompt" }', made.config.read_text(), flags=re.MULTILINE)
    made.config.write_text(by_hand)
    try:
        yield made
    finally:
        made.end()


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_after_a_reboot_at_night_somebody_is_told_once(served) -> None:
    served.start()
    wait_until(lambda: lines(served.heard), served.tail)
    told = lines(served.heard)[0]
    assert (told["kind"], told["subject"]) == ("token-needs-officer", "tokens/main")
    assert "segelctl token activate main" in told["text"]
    wait_until(
        lambda: 'segel_notices_total{kind="token-needs-officer",result="told"} 1.0' in served.metrics()
    )
    assert served.stop() == 0
    assert [each["subject"] for each in lines(served.heard)].count("tokens/main") == 1
    assert "told officers" in served.tail()
