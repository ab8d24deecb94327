"""`segel` as a process: closed pipes, Ctrl-C, start-up, completion."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segel.cli.exit_codes import ExitCode

PACKAGES = Path(__file__).parents[3] / "clients" / "python"
COMMAND = (sys.executable, "-m", "segel.cli.main")


def start(*arguments: str, **how: object) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
    return subprocess.Popen([*COMMAND, *arguments], env=environment, stderr=subprocess.PIPE, **how)


@pytest.fixture
def pdf(tmp_path: Path) -> str:
    from reportlab.pdfgen import canvas

    path = tmp_path / "a.pdf"
    page = canvas.Canvas(str(path), invariant=1)
    page.showPage()
    page.save()
    return str(path)


def test_output_that_nobody_reads(pdf):
    reader, writer = os.pipe()
    os.close(reader)
    with start("pdf", "verify", pdf, stdout=writer) as process:
        os.close(writer)
        _, said = process.communicate()
    assert (process.returncode, said) == (ExitCode.OUTPUT_CLOSED, b"")


def test_interrupted_while_it_reads():
    """More than a pipe holds was taken, so it is reading; then it is interrupted."""
    with start("pdf", "verify", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(bytes(4 << 20))
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate()
    assert (process.returncode, said, complained) == (ExitCode.INTERRUPTED, b"", b"error: interrupted\n")


def modules_loaded_by(*arguments: str) -> set[str]:
    code = "import sys, json, atexit; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))"
    code += f"; sys.argv = {['segel', *arguments]!r}; from segel.cli.main import main; main()"
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    return set(json.loads(process.stderr))


@pytest.mark.parametrize("arguments", [("--help",), ("pdf", "--help"), ("pdf", "sign", "--help")])
def test_help_loads_nothing_heavy(arguments):
    assert modules_loaded_by(*arguments).isdisjoint({"grpc", "pyhanko", "asn1crypto", "cryptography"})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    environment = {"_SEGEL_COMPLETE": f"complete_{shell}", "COMP_WORDS": "segel pd", "COMP_CWORD": "1"}
    environment |= {"_TYPER_COMPLETE_ARGS": "segel pd", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    code = "import sys; sys.argv = ['segel']; from segel.cli.main import main; main()"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment | {"PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pdf" in process.stdout
