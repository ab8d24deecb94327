"""The states of a job and their moves are drawn once: code, wire, client, database and documentation say the same."""

import re
from pathlib import Path

import segel
from segel.v1 import jobs_pb2
from segeld.model.job_state import FINAL, MOVES, SIGNABLE, JobState, mermaid

ROOT = Path(__file__).parents[3]


def test_the_wire_has_these_states() -> None:
    names = [name.removeprefix("STATE_").lower() for name in jobs_pb2.Job.State.keys()]  # noqa: SIM118 - no mapping
    assert names == ["unspecified", *JobState]


def test_the_client_has_these_states() -> None:
    assert [state.value for state in segel.JobState if state is not segel.JobState.UNKNOWN] == list(JobState)


def test_the_comments_of_the_wire_are_those_of_the_code() -> None:
    proto = (ROOT / "proto/segel/v1/jobs.proto").read_text()
    code = (ROOT / "daemon/segeld/model/job_state.py").read_text()
    said = dict(re.findall(r"// ([^\n]+)\n    STATE_(\w+) = [1-9]", proto))
    documented = {
        name: " ".join(text.split())
        for name, text in re.findall(r'(\w+) = "\w+"\n    """(.+?)"""', code, re.DOTALL)
    }
    assert {name: text for text, name in said.items()} == documented


def test_the_database_has_these_states() -> None:
    (schema,) = (ROOT / "daemon/segeld/jobqueue/sqlite/migrations").glob("0001*.sql")
    states = max(re.findall(r"CHECK\s*\(\s*state IN \(([^)]+)\)", schema.read_text()), key=len)
    assert set(re.findall(r"'(\w+)'", states)) == set(JobState) - {JobState.PAUSED}  # a mark: see 0003.sql


def test_the_documentation_shows_this_diagram() -> None:
    assert f"```mermaid\n{mermaid()}\n```" in (ROOT / "docs/jobs.md").read_text()


def test_every_state_can_be_reached_and_left_unless_it_is_final() -> None:
    reached, look = set(), {JobState.OPEN}
    while look:
        reached |= look
        look = {after for state in look for after in MOVES[state]} - reached
    assert reached == set(JobState)
    assert {state for state in JobState if not MOVES[state]} == FINAL
    assert not SIGNABLE & FINAL


def test_nothing_is_signed_before_it_was_sealed_and_approved() -> None:
    """However a job comes to be signable, it was sealed on the way; a held one only by an approval."""
    assert {state for state in JobState if SIGNABLE & MOVES[state]} == {
        JobState.OPEN,
        JobState.HELD,
        JobState.QUEUED,
        JobState.PAUSED,
    }
    assert {state for state in JobState if JobState.PAUSED in MOVES[state]} == SIGNABLE
