"""What somebody should be told, each from what is so now."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from segeld.model.inventory import TokenRecord
from segeld.model.job import JobFilter
from segeld.model.names import TokenName
from segeld.model.token_state import TokenState
from segeld.office.changes import Person
from segeld.office.conditions import (
    ChangeConditions,
    DiskCondition,
    JobConditions,
    TokenConditions,
    certificate_conditions,
    used_part,
)
from segeld.office.notices import Kind


def token(state: TokenState, pin_source: str = "file") -> TokenRecord:
    return TokenRecord(TokenName("seal"), state, "why.", 0.0, "", "", "", "", (), 0, 2, pin_source, ())


class Tokens:
    def __init__(self, pin_source: str = "file") -> None:
        self.record = token(TokenState.STARTING, pin_source)
        self._conditions = TokenConditions(lambda: (self.record,))

    async def become(self, state: TokenState):
        self.record = replace(self.record, state=state)
        return [(each.kind, each.text) for each in await self._conditions()]


async def test_a_token_that_waits_for_a_typed_pin_at_the_start_is_told():
    ((kind, text),) = await Tokens("prompt").become(TokenState.INACTIVE)
    assert kind is Kind.TOKEN
    assert text == "tokens/seal waits for its PIN. Run: segelctl token activate seal"


async def test_one_that_gets_its_pin_by_itself_is_told_only_after_it_was_active():
    tokens = Tokens()
    assert await tokens.become(TokenState.INACTIVE) == []
    assert await tokens.become(TokenState.ACTIVE) == []
    assert len(await tokens.become(TokenState.INACTIVE)) == 1


@pytest.mark.parametrize(
    ("state", "kind", "command"),
    [
        (TokenState.LOCKED, Kind.TOKEN, "segelctl token show seal"),
        (TokenState.ABSENT, Kind.TOKEN, "segelctl token show seal"),
        (TokenState.QUARANTINED, Kind.QUARANTINE, "why."),
    ],
)
async def test_states_that_need_somebody(state, kind, command):
    ((found, text),) = await Tokens().become(state)
    assert found is kind
    assert text.endswith(command)


async def test_a_blank_token_in_the_place_of_the_one_that_is_missing_is_told_of():
    tokens = Tokens()
    tokens.record = replace(tokens.record, blank="slot 0 holds a blank token: segelctl token init")
    ((_, text),) = await tokens.become(TokenState.ABSENT)
    assert text == "tokens/seal is not in any slot. slot 0 holds a blank token: segelctl token init"


async def test_a_quarantine_is_told_once_and_ends_with_what_to_do():
    tokens = Tokens()
    why = "wayan put it in quarantine: odd. When it may be used again, run: segelctl token release seal"
    tokens.record = replace(tokens.record, state_reason=why)
    ((_, text),) = await tokens.become(TokenState.QUARANTINED)
    assert text == f"tokens/seal is quarantined. {why}"


@pytest.mark.parametrize("state", [TokenState.ACTIVE, TokenState.STARTING, TokenState.RECOVERING])
async def test_states_that_need_nobody(state):
    assert await Tokens("prompt").become(state) == []


async def test_a_change_that_waits(office):
    conditions = ChangeConditions(office.desk)
    change = await office.asked()
    (condition,) = await conditions()
    assert (condition.kind, condition.subject) == (Kind.CHANGE, "changes/1")
    assert condition.text.startswith("wayan asks: Something is changed.")
    assert condition.text.endswith("segelctl change approve 1")
    await office.desk.approve(1, Person("made", "uri:made"), change.hash)
    assert list(await conditions()) == []


class Held:
    async def to_decide(self, who, may, wanted, *, since, before, limit):
        assert (who, wanted, before) == ("", JobFilter(), None)
        assert since == math.inf
        assert may("anybody", None)
        spec = SimpleNamespace(caller="backoffice")
        return (SimpleNamespace(name="jobs/" + "0" * 32, spec=spec),)


async def test_a_job_that_waits():
    (condition,) = await JobConditions(Held())()
    assert condition.kind is Kind.JOB
    assert condition.text.endswith("segel job approve " + "0" * 32)


async def test_a_disk_that_fills(tmp_path):
    assert await DiskCondition(tmp_path, lambda _: 0.79)() == []
    (condition,) = await DiskCondition(tmp_path, lambda _: 0.80)()
    assert condition.kind is Kind.DISK
    assert "80% full" in condition.text


def test_the_part_that_is_used_is_asked_of_the_file_system(tmp_path):
    assert 0.0 <= used_part(tmp_path) <= 1.0


async def test_a_certificate_near_its_end():
    async def warnings():
        return [("keys/sha256-00", "It ends soon. Run: segelctl key csr seal")]

    (condition,) = await certificate_conditions(warnings)()
    assert (condition.kind, condition.subject) == (Kind.CERTIFICATE, "keys/sha256-00")
