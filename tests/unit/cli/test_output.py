"""What a command prints of things whose names are not ours."""

import pytest

from segel.cli.output import Output

INJECTED = "Seal\nwhat:\tnothing is lost\r\x85\u2028\u202eend"


@pytest.mark.parametrize("terminal", [False, True])
def test_no_value_makes_a_line_of_its_own(capsys, monkeypatch, terminal):
    monkeypatch.setattr(Output, "is_terminal", terminal)
    Output(as_json=False).facts({}, {"holder": INJECTED, "what": (INJECTED, "A copy stays."), "none": ()})
    lines = capsys.readouterr().out.removesuffix("\n").split("\n")
    shown = "Seal what: nothing is lost    end"
    between = "  " if terminal else "\t"
    assert lines == [
        f"{'holder:' if terminal else 'holder'}{' ' if terminal else between}{shown}",
        *(
            f"{'what:' if terminal else 'what'}{'   ' if terminal else between}{line}"
            for line in (shown, "A copy stays.")
        ),
    ]


def test_programs_get_what_it_is(capsys):
    Output(as_json=True).facts({"holder": INJECTED}, {})
    assert capsys.readouterr().out.count("\n") == 1
