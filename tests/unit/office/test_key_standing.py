"""How keys stand: what is refused, and what is known of their certificates."""

import asyncio
import datetime as dt

import pytest
from key_bench import CA, KEY, NAME, SEAL
from status_authority import DAY, der

from segeld.model.faults import Reason


@pytest.mark.parametrize(
    ("option", "arrange", "later"),
    [
        ("without_certificate", lambda tokens: setattr(tokens, "chain", ()), dt.timedelta()),
        ("expired", lambda tokens: None, 300 * DAY),
        ("expired", lambda tokens: None, -31 * DAY),
    ],
    ids=["none", "over", "not begun"],
)
async def test_a_key_is_refused_for_its_certificate_where_the_policy_says_so(bench, option, arrange, later):
    arrange(bench.tokens)
    bench.now += later.total_seconds()
    assert bench.barred() is None
    setattr(bench.options, option, False)
    assert bench.barred() is Reason.KEY_CERTIFICATE
    assert bench.desk.standing.refusal(NAME).reason is Reason.KEY_CERTIFICATE


async def test_a_revoked_certificate_stays_so_until_its_authority_says_otherwise(bench):
    bench.options.revoked = False
    await bench.desk.standing.heard(bench.record, "good")
    assert bench.barred() is None
    await bench.desk.standing.heard(bench.record, "revoked")
    await bench.desk.standing.heard(bench.record, "unknown")
    await bench.restart()
    assert bench.barred() is Reason.KEY_CERTIFICATE
    assert bench.desk.standing.warnings(bench.record) == ("Its certificate was revoked.",)
    assert bench.acts() == ["certificate status"] * 2
    fresh = CA.seal(public_key=KEY)
    bench.tokens.chain = der(fresh, CA.certificate)
    assert bench.barred() is None
    assert bench.desk.standing.revocation(bench.record) == ""


async def test_a_gap_in_a_chain_is_said_as_long_as_it_lasts(bench):
    standing = bench.desk.standing
    assert standing.gap(bench.record) == ""
    bench.tokens.chain = der(SEAL)
    assert standing.gap(bench.record).startswith(
        "Its chain has a gap: the certificate of CN=Issuing is missing."
    )
    for chain in ((), (b"odd",), der(SEAL, CA.certificate)):
        bench.tokens.chain = chain
        assert standing.gap(bench.record) == ""


async def test_unknown_refuses_nothing(bench):
    bench.options.revoked = False
    await bench.desk.standing.heard(bench.record, "unknown")
    assert bench.barred() is None


async def test_the_keys_are_looked_at_again_at_the_moment_a_certificate_ends(bench):
    """In the middle of the night: nobody calls, nothing happens but the time."""
    end = SEAL.not_valid_after_utc
    assert end.hour == 3
    bench.now = end.timestamp() - 0.05
    bench.options.expired = False
    running = asyncio.create_task(bench.desk.run())
    await asyncio.sleep(0)
    assert not bench.tokens.reviewed.is_set()
    assert bench.barred() is None
    bench.now = end.timestamp()
    async with asyncio.timeout(10):
        await bench.tokens.reviewed.wait()
    assert bench.barred() is Reason.KEY_CERTIFICATE
    running.cancel()
