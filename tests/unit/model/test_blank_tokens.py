"""What is said of blank tokens when the configured one is not there."""

import pytest

from segeld.model.blank_tokens import way_out


@pytest.mark.parametrize(
    ("slots", "said"),
    [
        ((), ""),
        (
            (0,),
            "modules/a/slots/0 holds a blank token: segelctl token init seal --slot modules/a/slots/0",
        ),
        (
            (0, 7),
            "modules/a/slots/0 and modules/a/slots/7 hold blank tokens; for the one that is meant: segelctl token init seal --slot SLOT",
        ),
    ],
)
def test_the_command_is_named_with_the_slot(slots, said):
    assert way_out("seal", "a", slots) == said
