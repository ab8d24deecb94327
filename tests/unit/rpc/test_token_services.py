"""What officers see and do."""

import grpc
import pytest
from structlog.testing import capture_logs

from segel.v1 import resources_pb2, token_admin_pb2, tokens_pb2
from segeld.jobqueue.store_faults import StoreFull
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.token_state import TokenState

PIN = b"canary-pin-8472"


async def test_a_token_is_shown_whole(daemon):
    await daemon.start()
    token = await daemon.tokens().GetToken(tokens_pb2.GetTokenRequest(name="tokens/payroll"))
    assert (token.name, token.state, token.state_reason) == (
        "tokens/payroll",
        resources_pb2.Token.STATE_ACTIVE,
        "",
    )
    assert token.state_time.ToMilliseconds() == 1_800_000_000_250
    assert (token.label, token.serial, token.manufacturer, token.model) == ("Payroll", "0042", "ACME", "One")
    assert (token.workers_ready, token.workers_configured, token.pin_source) == (2, 2, "prompt")
    (key,) = token.keys
    assert key.name == f"tokens/payroll/{daemon.mine.name}"
    assert (key.key, key.label, key.id, key.kind) == (str(daemon.mine.name), "seal", b"\1", "P-256")


@pytest.mark.parametrize("state", TokenState)
async def test_every_state_has_its_word_on_the_wire(daemon, make, state):
    daemon.inventory.configured = {
        TokenName("b"): make.token("b", state),
        TokenName("a"): make.token("a", state),
    }
    await daemon.start()
    answer = await daemon.tokens("agus").ListTokens(tokens_pb2.ListTokensRequest())
    assert [token.name for token in answer.tokens] == ["tokens/a", "tokens/b"]
    assert resources_pb2.Token.State.Name(answer.tokens[0].state) == f"STATE_{state}"


async def test_slots_come_in_order_and_an_empty_one_has_no_token(daemon):
    await daemon.start()
    answer = await daemon.tokens().ListSlots(tokens_pb2.ListSlotsRequest())
    assert [slot.name for slot in answer.slots] == ["modules/vendor/slots/1", "modules/vendor/slots/7"]
    full, empty = answer.slots
    assert (full.token.token, full.token.serial, list(full.token.flags)) == ("tokens/payroll", "0042", ["F"])
    assert not empty.HasField("token")
    assert list(answer.unreachable) == ["module other: cannot be loaded"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("tokens/other", "TOKEN_NOT_FOUND"), ("payroll", "FIELD_INVALID"), ("tokens/", "FIELD_INVALID")],
)
async def test_a_token_that_is_not_there(daemon, refusal, name, reason):
    await daemon.start()
    refused = await refusal(daemon.tokens().GetToken(tokens_pb2.GetTokenRequest(name=name)))
    assert refused.reason == reason


async def test_a_pin_reaches_the_keeper_and_nothing_else(daemon, events):
    await daemon.start()
    request = token_admin_pb2.ActivateTokenRequest(name="tokens/payroll", pin=PIN)
    token = await daemon.admin().ActivateToken(request)
    assert token.name == "tokens/payroll"
    assert daemon.inventory.pins == [PIN]
    assert PIN.decode() not in str(events)


async def test_a_refused_pin_is_told_as_what_it_is(daemon, refusal, events):
    await daemon.start()
    daemon.inventory.fail = Fault(Reason.PIN_INCORRECT, "the token refused the PIN", token="tokens/payroll")
    request = token_admin_pb2.ActivateTokenRequest(name="tokens/payroll", pin=PIN)
    refused = await refusal(daemon.admin().ActivateToken(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PIN_INCORRECT")
    assert PIN.decode() not in str(events)


async def test_without_a_pin_the_token_has_its_own_way_to_it(daemon):
    await daemon.start()
    await daemon.admin().ActivateToken(token_admin_pb2.ActivateTokenRequest(name="tokens/payroll"))
    assert daemon.inventory.pins == [None]


async def test_a_pin_that_no_token_takes_is_not_even_tried(daemon, refusal):
    await daemon.start()
    request = token_admin_pb2.ActivateTokenRequest(name="tokens/payroll", pin=b"1" * 256)
    refused = await refusal(daemon.admin().ActivateToken(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PIN_LENGTH")
    assert not daemon.inventory.pins


async def test_a_failing_activation_shows_no_pin(daemon, refusal, events):
    await daemon.start()
    daemon.inventory.fail = RuntimeError("the keeper has gone")
    request = token_admin_pb2.ActivateTokenRequest(name="tokens/payroll", pin=PIN)
    refused = await refusal(daemon.admin().ActivateToken(request))
    assert refused.code is grpc.StatusCode.INTERNAL
    assert PIN.decode() not in str(events)


async def test_a_token_is_deactivated(daemon):
    await daemon.start()
    request = token_admin_pb2.DeactivateTokenRequest(name="tokens/payroll")
    token = await daemon.admin().DeactivateToken(request)
    assert token.state == resources_pb2.Token.STATE_INACTIVE


async def audited(daemon) -> list[tuple]:
    """What was recorded of the token, by whom, with which reason."""
    await daemon.acts.drained()
    leaves = daemon.acts._recorder.leaves
    return [(leaf.what, leaf.who, leaf.facts.get("reason", "")) for leaf in leaves if leaf.subject]


async def test_a_quarantine_is_kept_with_the_officer_who_asked_and_so_is_its_release(daemon):
    await daemon.start()
    request = token_admin_pb2.QuarantineTokenRequest(name="tokens/payroll", reason=" the reader\nwas open ")
    token = await daemon.admin().QuarantineToken(request)
    assert token.state == resources_pb2.Token.STATE_QUARANTINED
    await daemon.admin().ReleaseToken(token_admin_pb2.ReleaseTokenRequest(name="tokens/payroll"))
    name = TokenName("payroll")
    assert daemon.inventory.decided == [(name, "the reader was open", "siti"), (name, "siti")]
    assert await audited(daemon) == []  # it is recorded where it is written down, in one transaction


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501, "\x1b[2J"])
async def test_a_quarantine_needs_a_reason_that_can_be_kept(daemon, refusal, reason):
    await daemon.start()
    request = token_admin_pb2.QuarantineTokenRequest(name="tokens/payroll", reason=reason)
    refused = await refusal(daemon.admin().QuarantineToken(request))
    assert refused.reason == "FIELD_INVALID"
    assert not daemon.inventory.decided


async def test_a_full_disk_keeps_no_token_active(daemon, refusal, monkeypatch):
    await daemon.start()
    full = StoreFull()

    async def note(*_, **__):
        raise full

    monkeypatch.setattr(daemon.acts, "note", note)
    with capture_logs() as logs:
        name = "tokens/payroll"
        await daemon.admin().DeactivateToken(token_admin_pb2.DeactivateTokenRequest(name=name))
        await daemon.acts.drained()
    (told,) = [each for each in logs if each["event"] == "a token is deactivated unrecorded"]
    assert (told["token"], told["who"]) == (name, "siti")
    assert (
        await refusal(daemon.admin().ActivateToken(token_admin_pb2.ActivateTokenRequest(name=name)))
    ).reason == ("STORAGE_FULL")


async def test_what_officers_did_not_get_is_recorded_as_that(daemon, refusal):
    await daemon.start()
    daemon.inventory.fail = Fault(Reason.TOKEN_STATE, "It is not to be.", token="tokens/payroll")
    admin, name = daemon.admin(), "tokens/payroll"
    for method, request in (
        (admin.QuarantineToken, token_admin_pb2.QuarantineTokenRequest(name=name, reason="why")),
        (admin.ReleaseToken, token_admin_pb2.ReleaseTokenRequest(name=name)),
        (admin.ActivateToken, token_admin_pb2.ActivateTokenRequest(name=name)),
        (admin.DeactivateToken, token_admin_pb2.DeactivateTokenRequest(name=name)),
    ):
        assert (await refusal(method(request))).reason == "TOKEN_STATE"
        await daemon.acts.drained()
    assert await audited(daemon) == [
        ("token quarantine failed", "siti", "TOKEN_STATE"),
        ("token release failed", "siti", "TOKEN_STATE"),
        ("token activation asked", "siti", ""),
        ("token activation failed", "siti", "TOKEN_STATE"),
        ("token deactivation asked", "siti", ""),
        ("token deactivation failed", "siti", "TOKEN_STATE"),
    ]
