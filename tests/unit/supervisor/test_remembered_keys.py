"""What is remembered of keys in the inventory: shown with the state of its token, and in the way of a destruction."""

from pathlib import Path

import pytest
from acts_fake import acts
from keyring_desk import device, found, name

from segeld.config.schema import Config, Listen, Module, Tls, Token
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import Remembered
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState
from segeld.supervisor import keys
from segeld.supervisor.supervisor import Supervisor
from segeld.supervisor.token_notes import OfThisRun

A, B = TokenName("a"), TokenName("b")
HERE, ELSEWHERE = Token("soft", label="seal"), Token("soft", label="other", serial="0099")


def held(*words: str, serial: str = "0042", label: str = "seal") -> Remembered:
    beside = keys.Beside(HERE)
    return Remembered(serial, label, tuple(keys.named(found(word), beside) for word in words))


class Notes(OfThisRun):
    """`full`: nothing can be written."""

    full = False

    async def remember(self, token, held) -> None:
        if self.full:
            raise Fault(Reason.STORAGE_FULL, "The disk has no room.")
        await super().remember(token, held)


async def supervisor(notes: OfThisRun, waiting=lambda keys: 0, **tokens: Token) -> Supervisor:
    """As `run` begins, but nothing is started."""
    nowhere = Path("/nonexistent")
    config = Config(
        listen=Listen(tls=Tls(nowhere, nowhere, nowhere)),
        modules={"soft": Module(path=nowhere)},
        tokens=tokens,
        state_dir=nowhere,
    )

    async def serve(*_) -> None:
        raise AssertionError("no worker is started")

    made = Supervisor(config, serve, lambda: None, acts(), notes=notes, waiting=waiting)
    assert made.keys() == ()  # asked before anything was read
    await made._recall()
    return made


async def test_a_key_is_there_in_the_state_of_its_token_before_that_was_seen() -> None:
    notes, counted = Notes(), []

    def waiting(keys: frozenset[KeyName]) -> int:
        counted.append(keys)
        return 7

    await notes.remember(A, held("k"))
    there = await supervisor(notes, waiting, a=HERE)
    record = there.key(name("k"))
    assert (record.tokens, record.unusable) == (((A, TokenState.STARTING),), None)
    assert not record.active
    assert there.names_on(A) == there.requestable_on(A) == frozenset()
    assert there.token(A).waiting == 7
    assert counted == [{name("k")}]


async def test_a_token_that_left_the_configuration_is_forgotten_and_so_is_one_whose_name_means_another() -> (
    None
):
    notes = Notes()
    for token in (A, B, TokenName("c"), TokenName("d")):
        await notes.remember(token, held(token.word))
    tokens = {
        "a": HERE,
        "c": Token("soft", label="seal", serial="0043"),
        "d": Token("soft", label="renamed"),
    }
    known = (await supervisor(notes, **tokens)).keys()
    assert {key.name for key in known} == {name("a")}
    assert set(notes.remembered()) == {A}


async def test_what_cannot_be_forgotten_keeps_nothing_from_starting_and_is_not_shown() -> None:
    notes = Notes()
    await notes.remember(A, held("k"))
    await notes.remember(B, held("l"))
    notes.full = True
    there = await supervisor(notes, a=ELSEWHERE)
    assert there.keys() == ()


async def test_a_key_is_not_destroyed_elsewhere_while_a_token_that_holds_it_is_away() -> None:
    notes = Notes()
    await notes.remember(A, held("k"))
    await notes.remember(B, held("k", serial="0099", label="other"))
    there = await supervisor(notes, a=HERE, b=ELSEWHERE)
    with pytest.raises(Fault) as refused:
        await there.destroy_key(name("k"))
    assert refused.value.reason is Reason.TOKEN_NOT_ACTIVE
    assert "Nothing was removed: tokens/a" in refused.value.text
    assert "It is on tokens/a, tokens/b" in refused.value.text


async def test_a_key_of_a_device_that_was_exchanged_is_absent_whatever_its_token_does() -> None:
    notes = Notes()
    await notes.remember(A, held("k"))
    there = await supervisor(notes, a=HERE)
    token = there._tokens[A]
    token.seen(device("0043"))
    await token.know(None, (found("other"),), logged_in=False)
    assert there.key(name("k")).tokens == ((A, TokenState.ABSENT),)
    assert {key.name for key in there.token(A).keys} == {name("other")}
    with pytest.raises(
        Fault, match=r"is not there, but another device in its place\. Put it in and activate it"
    ):
        await there.destroy_key(name("k"))
