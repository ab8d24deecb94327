"""Every command and example of softhsm/README.md works."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[3] / "softhsm" / "README.md"


def test_the_readme_works_from_top_to_bottom(tmp_path):
    blocks = re.findall(r"(?ms)^```(sh|python)\n(.*?)^```", README.read_text())
    assert {language for language, _ in blocks} == {"sh", "python"}
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONPATH": str(README.parent),
    }
    output = ""
    for language, text in blocks:
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
    assert "Verified OK" in output
    assert "seal-rsa2048.cert.pem: OK" in output
