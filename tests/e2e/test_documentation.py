"""Every command that the documentation names runs as it stands there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, blocks, environment, letters

TIMEOUT = 110
NOT_HERE = re.compile(r"^(make |export PATH|pip install)")
"""Set-up, which has run already when this test runs; `make test` would run itself."""


def shell(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-euc", script],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_the_readmes_tour_runs_from_top_to_bottom(tmp_path) -> None:
    lines = [line for block in blocks("README.md", "sh") for line in block.splitlines()]
    ends = [line for line in lines if line.startswith("kill")]
    tour = [line for line in lines if not NOT_HERE.match(line) and line not in ends]
    assert len(tour) > 12
    done = shell("\n".join([*tour, *ends]), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "backoffice" in done.stdout
    assert (tmp_path / "verified.txt").read_text() == "Surat keputusan nomor 188\n"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "clients/python/README.md"])
def test_every_make_target_that_is_named_exists(document) -> None:
    text = (ROOT / document).read_text()
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


def test_make_help_names_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "lint", "bench", "proto", "serve", "clean"):
        assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE)


def test_the_python_of_the_readme_signs(tmp_path, daemon) -> None:
    (code,) = [block for block in blocks("README.md", "python") if "BlockingClient" in block]
    for name, variable in (("ca.pem", "CA"), ("me.pem", "CERT"), ("me.key", "KEY")):
        (tmp_path / name).symlink_to(daemon.environment[f"SEGEL_TLS_{variable}"])
    code = code.replace("localhost:7443", daemon.target).replace("keys/seal-2026", "keys/seal-p256")
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(len(signature) > 60)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr


def test_the_doors_of_the_readme_open(tmp_path, daemon) -> None:
    commands = re.findall(r"\| `(segel [^`]+)` \|", (ROOT / "README.md").read_text())
    assert len(commands) == 2
    letters(tmp_path / "letters")[0].rename(tmp_path / "letter.pdf")
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command.replace("keys/seal-2026", "keys/seal-p256")],
            cwd=tmp_path,
            env={**environment(), **daemon.environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "letter-signed.pdf").is_file()
    assert len(list((tmp_path / "signed").iterdir())) == 4


@pytest.mark.parametrize("which", ["asyncio.run", "from_settings"])
def test_the_examples_of_the_library_run(tmp_path, daemon, which) -> None:
    (code,) = [block for block in blocks("clients/python/README.md", "python") if which in block]
    for name, variable in (("ca.pem", "CA"), ("backoffice.pem", "CERT"), ("backoffice.key", "KEY")):
        (tmp_path / name).symlink_to(daemon.environment[f"SEGEL_TLS_{variable}"])
    letters(tmp_path / "outbox")[0].rename(tmp_path / "letter.pdf")
    (tmp_path / "signed").mkdir()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code.replace("localhost:7443", daemon.target).replace("keys/seal-2026", "keys/seal-p256"),
        ],
        cwd=tmp_path,
        env={**environment(), **daemon.environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "letter.sig").is_file() or len(list((tmp_path / "signed").iterdir())) == 4


def test_three_lines_give_another_project_a_daemon(tmp_path) -> None:
    (code,) = [block for block in blocks("README.md", "python") if "pytest_plugins" in block]
    plugin, test = code.split("\n\n", 1)
    (tmp_path / "conftest.py").write_text(plugin + "\n")
    (tmp_path / "test_letters.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_demo_signs_the_users_own_files_and_says_so(tmp_path) -> None:
    own = letters(tmp_path / "my letters")[:2]
    for _ in range(2):  # it works twice in a row
        done = subprocess.run(
            [sys.executable, ROOT / "tests/demo/run.py", *own],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        summary = json.loads((tmp_path / "build/demo/summary.json").read_text())
        assert summary["digests_signed"] == 10_000
        assert len(summary["signed_pdfs"]) == 2
        assert all((tmp_path / path).read_bytes().startswith(b"%PDF") for path in summary["signed_pdfs"])


def test_the_demo_says_which_file_is_missing(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tests/demo/run.py", "nothing.pdf"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing.pdf is not there" in done.stderr
