"""All of the daemon that touches a token, in this process: the supervisor with its keeper and its workers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from acts_fake import acts

from segeld.config.schema import Config, Listen, Module, Timeouts, Tls, Token
from segeld.model.names import TokenName
from segeld.model.token_state import TokenState
from segeld.supervisor.supervisor import Supervisor
from segeld.supervisor.worker_handle import WorkerHandle

CARD = TokenName("card")
"""The token that tests have, and the word of its module."""
TIMEOUT = 60
PATIENT = Timeouts(start=30, login=30)


def settings(
    module: Path, environment: Mapping[str, str], state_dir: Path, tokens: Mapping[str, Token]
) -> Config:
    """:param tokens: all of the module `card`."""
    nowhere = Path("/nonexistent")
    state_dir.mkdir(exist_ok=True)
    return Config(
        listen=Listen(tls=Tls(nowhere, nowhere, nowhere)),
        modules={CARD.word: Module(path=module, environment=dict(environment))},
        tokens=dict(tokens),
        state_dir=state_dir,
    )


class Serving:
    """What a dispatcher would do: nothing, until the worker ends."""

    worker: WorkerHandle
    """The one that came to serve last."""

    async def __call__(self, name: TokenName, worker: WorkerHandle) -> None:
        self.worker = worker
        await worker.leaving.wait()


@asynccontextmanager
async def daemon(
    config: Config, serve: Serving | None = None, *, last: TokenName | None = None
) -> AsyncIterator[Supervisor]:
    """:param last: a token that gets no worker until the others have been looked for."""
    supervisor = Supervisor(config, serve or Serving(), lambda: None, acts())
    if last is not None:
        supervisor._tokens[last]._crew.halted = True
    running = asyncio.create_task(supervisor.run())
    try:
        if last is not None:
            for name, token in supervisor._tokens.items():
                if name != last:
                    await asyncio.wait_for(token.looked(), TIMEOUT)
            supervisor._tokens[last]._crew.halted = False
            supervisor._tokens[last].news.tell()
        yield supervisor
    finally:
        running.cancel()
        await asyncio.wait({running})


async def until(supervisor: Supervisor, *states: TokenState, name: TokenName = CARD) -> str:
    """Gives what the token says of itself when it is in one of them."""
    token = supervisor._tokens[name]
    await asyncio.wait_for(token.news.until(lambda: token.state in states), TIMEOUT)
    return token.record().state_reason
