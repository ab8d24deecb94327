"""Commands load only what they need, and read what was given as typer reads it."""

import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from segel.cli.quick import QuickCommand, group_of

_SLOW = ("pydantic", "grpc", "google", "pyhanko", "asn1crypto", "rich.console", "segel.client", "segeld.app")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def command(kind: type[typer.core.TyperCommand] | None):
    """A command that shows what it was given."""
    app = typer.Typer(add_completion=False)

    @app.command(cls=kind)
    def show(
        word: Annotated[str, typer.Argument()],
        others: Annotated[list[str] | None, typer.Argument()] = None,
        path: Annotated[Path | None, typer.Option()] = None,
        there: Annotated[Path | None, typer.Option(exists=True)] = None,
        file: Annotated[Path | None, typer.Option(dir_okay=False)] = None,
        many: Annotated[list[Path] | None, typer.Option()] = None,
        text: Annotated[str, typer.Option()] = "as it was",
        count: Annotated[int, typer.Option("-n", min=0, max=50)] = 3,
        share: Annotated[float | None, typer.Option()] = None,
        colour: Annotated[Colour | None, typer.Option()] = None,
        switch: Annotated[bool, typer.Option("--switch")] = False,
        shouted: Annotated[str | None, typer.Option(callback=lambda text: text and text.upper())] = None,
    ) -> None:
        typer.echo(repr(locals()))

    return app


QUICK, SLOW = command(QuickCommand), command(None)


def both(*words: str):
    answers = [CliRunner().invoke(app, list(words)) for app in (QUICK, SLOW)]
    first, second = ((one.exit_code, one.stdout, one.stderr) for one in answers)
    assert first == second, words
    return answers[0]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("word",),
        ("word", "more", "and more"),
        ("w", "--path", "/nowhere", "--many", "a", "--many", "/"),
        ("w", "--path", "/", "--there", "/", "--text", ""),
        ("w", "--path", ""),
        ("w", "--there", "/nowhere"),
        ("w", "--file", "/"),
        ("w", "--file", "/nowhere"),
        ("w", "-n", "-1"),
        ("w", "-n", "7", "--share", "0.5"),
        ("w", "-n", "007"),
        ("w", "-n", "10000000000000000000000"),
        ("w", "-n", "100"),
        ("w", "-n", "seven"),
        ("w", "--colour", "red", "--switch"),
        ("w", "--colour", "green"),
        ("w", "--shouted", "loud"),
        ("w", "--nothing"),
        ("--help",),
    ],
)
def test_read_as_typer_reads_it(words):
    both(*words)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["--path", "--text", "--many", "--shouted", "--file", "--there", "-n"]),
            st.integers(-9, 60).map(str)
            | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
        ),
        max_size=4,
    )
)
def test_whatever_text_is_given(options):
    both("word", *(word for option in options for word in option))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_given, **_more: False)
    assert both("w", "--path", str(tmp_path)).exit_code == 2


def test_parts_are_imported_when_they_are_asked_for(tmp_path, monkeypatch):
    (tmp_path / "quick_part_one.py").write_text(
        "import typer\napp = typer.Typer(help='One.')\n"
        "@app.command()\ndef a() -> None: print('a ran')\n@app.command()\ndef b() -> None: ...\n"
    )
    (tmp_path / "quick_part_two.py").write_text(
        "def register(group):\n    @group.command('two')\n    def two() -> None: print('two ran')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    root = typer.Typer(cls=group_of({"one": "quick_part_one", "two": "quick_part_two"}), add_completion=False)
    root.callback()(lambda: None)
    assert CliRunner().invoke(root, ["two"]).stdout == "two ran\n"
    assert "quick_part_one" not in sys.modules
    assert CliRunner().invoke(root, ["one", "a"]).stdout == "a ran\n"
    shown = CliRunner().invoke(root, ["--help"]).stdout
    assert shown.index("one") < shown.index("two")
    assert "Did you mean 'one'" in CliRunner().invoke(root, ["onee"]).stderr


def loaded_by(*words: str) -> set[str]:
    """The modules that a process has at its end."""
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=open(sys.argv[-1], 'w')))\n"
        "from segeld.ctl.main import app\n"
        "app(sys.argv[1:-1])\n"
    )
    read, write = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, *words, f"/proc/self/fd/{write}"],
            pass_fds=(write,),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        os.set_blocking(read, False)
        return set(os.read(read, 1 << 20).decode().split())
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize(
    "words",
    [
        ("audit", "find", "--digest", "00", "--dir", "/nonexistent"),
        ("audit", "verify", "--key", "/nonexistent", "--dir", "/nonexistent"),
        ("audit", "prove", "--leaf", "5", "--dir", "/nonexistent"),
        ("audit", "tail", "--dir", "/nonexistent"),
        ("--json", "audit", "tail", "-n", "50", "--dir", "/nonexistent"),
    ],
)
def test_nothing_is_loaded_that_is_not_needed(words):
    modules = loaded_by(*words)
    assert "segeld.ctl.main" in modules
    assert [name for name in modules if name.startswith(_SLOW)] == []
    assert "asyncio" not in modules, "files are read without an event loop"
    areas = ("slot", "token", "key", "caller", "policy", "change", "job", "status")
    assert [name for name in areas if f"segeld.ctl.{name}" in modules] == []
