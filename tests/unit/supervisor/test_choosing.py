"""Which slot is meant, which label a token gets, and whether one was left as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from segeld.config.schema import Token
from segeld.ipc.worker_wire import SlotInfo, TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.supervisor.choosing import INITIALIZED, PIN_SET, choose, is_untouched, label_for

SEAL = TokenName("seal")
OWN = TokenInfo("Seal", "0042", "ACME", "One", (INITIALIZED, PIN_SET), 4, 8)
OTHER = replace(OWN, label="Other", serial="0077")
BLANK = TokenInfo("", "", "ACME", "One", (), 4, 8)
CONFIG = Token("soft", label="Seal")


def slots(*tokens: TokenInfo | None) -> tuple[SlotInfo, ...]:
    return tuple(SlotInfo(number, "", "", token, ()) for number, token in enumerate(tokens))


def chosen(config: Token, slot: tuple[str, int] | None, *tokens: TokenInfo | None) -> int:
    return choose(SEAL, config, slot, slots(*tokens)).slot_id


def test_without_a_slot_the_one_token_that_is_configured_is_meant() -> None:
    assert chosen(CONFIG, None, OTHER, OWN, BLANK, None) == 1


def test_a_blank_token_is_meant_by_its_slot_alone() -> None:
    assert chosen(CONFIG, ("soft", 2), OTHER, None, BLANK) == 2
    assert chosen(CONFIG, ("soft", 0), OWN) == 0


@pytest.mark.parametrize(
    ("config", "slot", "tokens", "reason", "why"),
    [
        (CONFIG, None, (OTHER, BLANK), Reason.TOKEN_NOT_PRESENT, "segelctl slot list"),
        (CONFIG, None, (OWN, replace(OWN, serial="0043")), Reason.TOKEN_STATE, "2 tokens have its label"),
        (CONFIG, ("vendor", 0), (BLANK,), Reason.SLOT_NOT_FOUND, "another module than vendor"),
        (CONFIG, ("soft", 7), (BLANK,), Reason.SLOT_NOT_FOUND, "no such slot: modules/soft/slots/7"),
        (CONFIG, ("soft", 0), (None,), Reason.SLOT_NOT_FOUND, "no token in this slot"),
        (CONFIG, ("soft", 0), (OTHER,), Reason.TOKEN_STATE, "is another ('Other', 0077) and is not blank"),
        (CONFIG, ("soft", 1), (OWN, BLANK), Reason.TOKEN_STATE, "with its label is there already"),
        (Token("soft", serial="1"), ("soft", 0), (BLANK,), Reason.TOKEN_STATE, "another serial number"),
    ],
)
def test_what_could_be_another_is_refused(config, slot, tokens, reason, why) -> None:
    with pytest.raises(Fault) as refused:
        chosen(config, slot, *tokens)
    assert refused.value.reason is reason
    assert why in refused.value.text
    assert refused.value.text.startswith("tokens/seal: ")


@given(st.lists(st.sampled_from([OWN, OTHER, BLANK, None]), max_size=5), st.integers(0, 6) | st.none())
def test_an_initialised_token_of_another_is_never_chosen(tokens, number) -> None:
    slot = None if number is None else ("soft", number)
    try:
        found = choose(SEAL, CONFIG, slot, slots(*tokens))
    except Fault:
        return
    assert found.token in (OWN, BLANK)
    assert number in (None, found.slot_id)


@pytest.mark.parametrize(
    ("config", "wanted", "label"),
    [(CONFIG, None, "Seal"), (CONFIG, "Seal", "Seal"), (Token("soft", serial="1"), "Kantor", "Kantor")],
)
def test_a_label_is_the_configured_one_or_the_one_that_is_given(config, wanted, label) -> None:
    assert label_for(SEAL, config, wanted) == label


@pytest.mark.parametrize(
    ("config", "wanted", "why"),
    [
        (CONFIG, "Kantor", "would not be found"),
        (Token("soft", serial="1"), None, "no label is configured"),
        (Token("soft", serial="1"), "é" * 17, "1 to 32 octets"),
        (Token("soft", serial="1"), "a\nb", "printable"),
    ],
)
def test_a_label_that_will_not_do_is_refused(config, wanted, why) -> None:
    with pytest.raises(Fault, match=why) as refused:
        label_for(SEAL, config, wanted)
    assert (refused.value.reason, refused.value.field) == (Reason.FIELD_INVALID, "label")


@pytest.mark.parametrize(
    ("before", "now", "untouched"),
    [
        (OWN, OWN, True),
        (OWN, replace(OWN, flags=(INITIALIZED, PIN_SET, "CKF_SO_PIN_COUNT_LOW")), True),
        (OWN, replace(OWN, flags=(INITIALIZED,)), False),
        (OWN, replace(OWN, label="New"), False),
        (OWN, OTHER, False),
        (OWN, None, False),
        (BLANK, BLANK, True),
        (BLANK, replace(BLANK, flags=(INITIALIZED,), label="Seal"), False),
        # It had no PIN before: it looks the same, whether it was erased or not.
        (replace(OWN, flags=(INITIALIZED,)), replace(OWN, flags=(INITIALIZED,)), False),
    ],
)
def test_a_token_is_untouched_only_if_that_is_sure(before, now, untouched) -> None:
    assert is_untouched(before, slots(OTHER, now)) is untouched
