"""Two officers put a policy in force: a process of its own for `policy_apply`, told on standard input what and where.

Prints a line when they are ready, and waits for one. Then prints when they began, by the clock of `time.perf_counter` (on
Linux one for all processes), and how long they took.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import segel
from segel.models_changes import ApplyPolicy


async def main() -> None:
    given = json.loads(sys.stdin.readline())
    pki = Path(given["directory"]) / "pki"

    def officer(name: str) -> segel.Officer:
        tls = segel.Tls(
            ca=pki / "ca-bundle.pem",
            cert=pki / f"client-{name}.chain.pem",
            key=pki / "private" / f"client-{name}.key.pem",
        )
        return segel.Officer.connect(given["target"], tls=tls)

    async with officer("wayan") as asks, officer("made") as agrees:
        await asks.tokens()
        await agrees.tokens()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.perf_counter()
        change = await asks.changes.propose(ApplyPolicy(given["toml"]))
        if change.state == "waiting":
            await agrees.changes.approve(change.name, change.action_hash)
        await asks.changes.run(change.name)
        took = time.perf_counter() - began
    print(json.dumps([began, took]))


asyncio.run(main())
