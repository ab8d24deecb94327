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
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("SEGEL")}
COMMAND = (sys.executable, "-m", "segel.cli.main")


def start(*arguments: str, **how: object) -> "subprocess.Popen[bytes]":
    environment = CLEAN | {"PYTHONPATH": str(PACKAGES)}
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


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED, b"error: interrupted\n"),
        (signal.SIGTERM, ExitCode.TERMINATED, b"error: ended by a signal\n"),
        (signal.SIGHUP, ExitCode.TERMINATED, b"error: ended by a signal\n"),
    ],
)
def test_ended_while_it_reads(number, code, text):
    """More than a pipe holds was taken, so it is reading; then it is told to end."""
    with start("pdf", "verify", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(bytes(4 << 20))
        process.stdin.flush()
        process.send_signal(number)
        process.wait()  # its input stays open meanwhile: the end of that would be an answer
        said, complained = process.communicate()
    assert (process.returncode, said, complained) == (code, b"", text)


def test_help_that_nobody_reads():
    reader, writer = os.pipe()
    os.close(reader)
    with start("--help", stdout=writer) as process:
        os.close(writer)
        process.communicate()
    assert process.returncode == ExitCode.OUTPUT_CLOSED


def test_full_standard_output(pdf):
    with Path("/dev/full").open("wb") as full, start("pdf", "verify", pdf, stdout=full) as process:
        _, said = process.communicate()
    assert process.returncode == ExitCode.FAILED
    assert said == b"error: cannot write to standard output: no space left on device\n"


def test_closed_standard_output(pdf):
    with start("pdf", "verify", pdf, preexec_fn=lambda: os.close(1)) as process:
        _, said = process.communicate()
    assert process.returncode == ExitCode.FAILED
    assert said == b"error: cannot write to standard output: bad file descriptor\n"


@pytest.mark.parametrize(
    ("missing", "arguments", "text"),
    [
        ("pyhanko", ["pdf", "sign", "a.pdf"], "signing PDFs needs: pip install 'segel[pdf]'"),
        ("asn1crypto", ["pdf", "verify", "a.pdf"], "checking PDFs needs: pip install 'segel[pdf]'"),
        ("typer", ["whoami"], "the command segel needs: pip install 'segel[cli]'"),
    ],
)
def test_extras_that_are_not_installed(missing, arguments, text):
    code = f"import sys; sys.modules[{missing!r}] = None; sys.argv = {['segel', *arguments]!r}"
    code += "; from segel.cli.main import main; main()"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=CLEAN | {"PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stderr) == (ExitCode.USAGE, f"error: {text}\n")


def test_grpc_says_nothing_itself():
    code = "import os, sys; sys.argv = ['segel', 'whoami']; from segel.cli.main import main\n"
    code += "try: main()\nfinally: print(os.environ['GRPC_VERBOSITY'])"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={name: value for name, value in CLEAN.items() if name != "GRPC_VERBOSITY"}
        | {"PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        check=False,
    )
    assert process.stdout == b"NONE\n"


def modules_loaded_by(*arguments: str) -> set[str]:
    code = "import sys, json, atexit; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))"
    code += f"; sys.argv = {['segel', *arguments]!r}; from segel.cli.main import main; main()"
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    return set(json.loads(process.stderr))


@pytest.mark.parametrize(
    "arguments", [("--help",), ("pdf", "--help"), ("pdf", "sign", "--help"), ("job", "submit", "--help")]
)
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
