"""The pages for officers: every command that they name exists as it stands, and those of a day's work run."""

import json
import os
import re
import shlex
import subprocess
import tomllib

import pytest
import typer
from documents import ROOT, blocks, environment, letters

from segel.testing import dev_daemon
from segeld.config.schema import Notify
from segeld.ctl.main import app

TIMEOUT = 60
ENGLISH, INDONESIAN = "docs/officers.md", "docs/officers.id.md"
PAGES = (ENGLISH, INDONESIAN, "docs/changes.md", "docs/pins.md", "docs/keys.md")


def named_commands(page: str) -> list[list[str]]:
    """Every segelctl command with arguments: those of blocks, and those between backquotes."""
    text = (ROOT / page).read_text()
    found = [
        line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("segelctl")
    ]
    found += re.findall(r"`(segelctl [^`…]+)`", text)
    return [shlex.split(line)[1:] for line in found]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page) -> None:
    """By its words; and by its options, where it stands with arguments."""
    assert len(named_commands(page)) > 5
    for words in named_commands(page):
        command, rest = typer.main.get_command(app), list(words)
        while hasattr(command, "commands"):
            assert rest[0] in command.commands, f"{page}: segelctl {shlex.join(words)}"
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        for word in rest:
            assert not word.startswith("--") or word in known, (
                f"{page}: {word} of segelctl {shlex.join(words)}"
            )


def test_both_languages_say_the_same() -> None:
    """The same sections, each of which ends in one command."""
    sections = [re.split(r"^## ", (ROOT / page).read_text(), flags=re.MULTILINE)[1:] for page in PAGES[:2]]
    assert len(sections[0]) == len(sections[1]) == 6
    for english, indonesian in zip(*sections, strict=True):
        ends = [re.fullmatch(r".*```sh\n([^\n]+)\n```\n*", each, re.DOTALL) for each in (english, indonesian)]
        assert all(ends)
        commands = [re.sub('".*"', "", end[1]) for end in ends]  # a reason is in its own language
        assert commands[0] == commands[1]
        assert len(english.strip().splitlines()) > 5


@pytest.fixture
def office(tmp_path, ready_beds):
    folder = ready_beds.at(tmp_path / "dev", "p256").directory
    by_hand = ("--prompt", "segel-a", "--prompt", "segel-b")
    with dev_daemon("--workers", "1", *by_hand, directory=folder) as daemon:
        yield daemon


def run(script: str, daemon, folder, *, who: str = "wayan") -> str:
    pki = daemon.directory / "pki"
    person = {
        "SEGELCTL_TLS_CERT": str(pki / f"client-{who}.chain.pem"),
        "SEGELCTL_TLS_KEY": str(pki / "private" / f"client-{who}.key.pem"),
    }
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=folder,
        env={**os.environ, **environment(), **daemon.environment, **person},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def section(number: int) -> str:
    """The command at the end of a section of the page for officers."""
    return blocks(ENGLISH, "sh")[number].strip()


def test_after_a_restart_the_token_is_activated(office, tmp_path) -> None:
    assert "tokens/segel-a is active" in activate(office, tmp_path)


def activate(office, folder) -> str:
    pin = office.directory / "pins" / "segel-a.pin"
    return run(f"{section(1).replace('seal', 'segel-a')} --pin-file {pin}", office, folder)


def test_a_stolen_laptop_is_shut_out_by_one_officer(office, tmp_path) -> None:
    run(f"{section(3)} --yes", office, tmp_path)
    callers = run("segelctl --json caller list", office, tmp_path)
    assert "laptop stolen" in callers


def test_an_auditor_finds_out_who_signed_the_letter(office, tmp_path) -> None:
    letters(tmp_path / "letters")[0].rename(tmp_path / "letter.pdf")
    activate(office, tmp_path)
    run("segel sign --key keys/seal-p256 letter.pdf", office, tmp_path)
    run(f"until {section(6)} > /dev/null 2>&1; do sleep 0.1; done", office, tmp_path, who="ketut")
    assert "backoffice" in run(section(6), office, tmp_path, who="ketut")


def test_the_guide_to_two_persons(office, tmp_path) -> None:
    look, do, refuse = blocks("docs/changes.md", "sh")[:3]

    def ask(weight: int) -> str:
        wanted = tmp_path / "wanted.toml"
        text = (office.directory / "policy.toml").read_text()
        wanted.write_text(text.replace('name = "backoffice"', f'name = "backoffice"\nweight = {weight}', 1))
        said = run("segelctl --json policy apply wanted.toml --yes 2> /dev/null", office, tmp_path)
        return json.loads(said)["name"].removeprefix("changes/")

    def numbered(block: str, number: str) -> str:
        return re.sub(r"(change \w+) 7", rf"\1 {number}", block)

    number = ask(7)
    shown = run(numbered(look, number).rstrip() + " --yes", office, tmp_path, who="made")
    assert "backoffice" in shown
    assert "is done" in run(numbered(do, number), office, tmp_path)
    again = run("segelctl --json policy apply wanted.toml --dry-run", office, tmp_path)
    assert json.loads(again)["needs_approval"] is False
    number = ask(8)
    assert "the old key is still in use" in run(numbered(refuse, number), office, tmp_path, who="made")


def test_the_example_of_a_notify_command_is_one(tmp_path) -> None:
    (table,) = blocks("docs/changes.md", "toml")
    assert Notify(command=tuple(tomllib.loads(table)["notify"]["command"])).command[0].startswith("/")
    script = blocks("docs/changes.md", "sh")[3]
    (tmp_path / "tell").write_text(script.replace("exec mail", "exec printf '%s\\n'"))
    told = subprocess.run(["sh", tmp_path / "tell"], input="{}", capture_output=True, text=True, check=True)
    assert "somebody is needed" in told.stdout
