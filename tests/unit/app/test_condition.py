"""Health follows what is in trouble: signing what stops it, the audit log what keeps it from being published."""

import asyncio

from segeld.app.condition import Condition


def test_what_stops_signing_and_what_does_not() -> None:
    shown: asyncio.Queue[tuple[bool, bool]] = asyncio.Queue()

    async def show(*, serving: bool, publishing: bool) -> None:
        shown.put_nowait((serving, publishing))

    async def run() -> None:
        condition = Condition()
        task = asyncio.create_task(condition.show(show))
        condition.tell_published("The audit log's files cannot be written.")
        assert await shown.get() == (True, False)
        assert condition.trouble == "", "signing goes on"
        condition.tell("the disk is full")
        assert await shown.get() == (False, False)
        condition.tell("adopt it", of="audit log")
        await shown.get()
        condition.tell(None)
        condition.tell_published(None)
        assert await shown.get() == (False, True)
        condition.tell(None, of="audit log")
        assert await shown.get() == (True, True)
        task.cancel()

    asyncio.run(run())
