"""Starting: officers are served at once; callers may have to wait until there is something to say."""

import asyncio

from segel.v1 import signing_pb2, tokens_pb2

TIMEOUT = 10


async def test_callers_who_come_too_early_wait_and_are_not_refused(daemon):
    daemon.build()
    daemon.bound = await daemon.servers.start(callers_too=False)
    early = asyncio.ensure_future(daemon.signing().WhoAmI(signing_pb2.WhoAmIRequest(), timeout=TIMEOUT))
    await daemon.tokens().ListTokens(tokens_pb2.ListTokensRequest(), timeout=TIMEOUT)
    assert not early.done()
    await daemon.servers.serve_callers()
    assert (await early).caller == "backoffice"


async def test_a_daemon_that_stops_before_callers_were_served_ends(daemon):
    daemon.build()
    daemon.bound = await daemon.servers.start(callers_too=False)
    await asyncio.wait_for(daemon.servers.stop(0.1), TIMEOUT)
