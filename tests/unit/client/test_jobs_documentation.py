"""docs/jobs.md says what is."""

import re
from pathlib import Path

from segel import JobState
from segel.cli.app import app
from segeld.model.job_state import mermaid

TEXT = (Path(__file__).parents[3] / "docs" / "jobs.md").read_text()


def test_the_diagram_is_that_of_the_daemon():
    assert re.findall(r"^```mermaid\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL) == [mermaid()]


def test_every_state_is_explained():
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == [
        state for state in JobState if state is not JobState.UNKNOWN
    ]


def test_every_command_and_option_exists():
    import typer

    group = typer.main.get_command(app).commands["job"]
    used = re.findall(
        r"segel job (\w+)([^|`\n)]*)", "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL))
    )
    assert {name for name, _ in used} == set(group.commands)
    for name, rest in used:
        options = {option for one in group.commands[name].params for option in one.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options
