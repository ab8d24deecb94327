"""Lines of the worker's log: JSON, one each, without the texts of errors."""

import json

import pytest

from segeld.worker import log


def test_a_line_is_one_json_object(capfd: pytest.CaptureFixture[str]) -> None:
    log.say("bad frame", error="two\nlines", size=7)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line) == {"event": "bad frame", "error": "two\nlines", "size": 7}


def test_a_place_does_not_repeat_what_the_error_said() -> None:
    def fails() -> None:
        raise ValueError("31415926")

    try:
        fails()
    except ValueError as error:
        said = log.place(error)
    assert said.startswith("fails:")
    assert "31415926" not in said
