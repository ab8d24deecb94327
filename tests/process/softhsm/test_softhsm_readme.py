"""Every command and example of softhsm/README.md works."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[3] / "softhsm" / "README.md"


def test_the_readme_works_from_top_to_bottom(tmp_path):
    output = run(tmp_path, [block for block in blocks() if "segel_cards" not in block[1]])
    assert "Verified OK" in output
    assert "seal-rsa2048.cert.pem: OK" in output


def test_its_card_works(tmp_path, cards_allowed):
    output = run(tmp_path, [block for block in blocks() if "segel_cards" in block[1]])
    assert "always authenticate" in output
    assert '"pin_tries": 3' in output
    assert "YubiKey PIV #" in output


def blocks():
    found = re.findall(r"(?ms)^```(sh|python)\n(.*?)^```", README.read_text())
    assert {language for language, _ in found} == {"sh", "python"}
    return found


def run(tmp_path, some):
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONPATH": str(README.parent),
    }
    output = ""
    for language, text in some:
        interpreter = ["sh", "-eu", "-c"] if language == "sh" else [sys.executable, "-c"]
        ran = subprocess.run(
            [*interpreter, text.replace("/tmp/testbed", str(tmp_path / "bed"))],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, text + ran.stderr
        output += ran.stdout
    return output
