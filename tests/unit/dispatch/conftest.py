"""A dispatcher, and workers for it."""

import asyncio

import pytest
from dispatch_fakes import (
    TIMEOUT,
    TOKEN,
    FakeRules,
    FakeTokens,
    FakeWorker,
)
from prometheus_client import CollectorRegistry
from queue_fake import FakeQueue
from structlog.testing import capture_logs

from segeld.dispatch.dispatcher import Dispatcher, Quotas
from segeld.dispatch.metrics import DispatchMetrics
from segeld.model.names import TokenName


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
def rules() -> FakeRules:
    return FakeRules()


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def dispatcher(tokens, rules, queue) -> Dispatcher:
    return Dispatcher(
        lambda: tokens,
        lambda: rules,
        queue,
        DispatchMetrics(CollectorRegistry()),
        Quotas(queue=100, queue_per_caller=50, answers_retention=60),
        log_origin="segel/test",
        recorded=lambda leaf: None,
    )


@pytest.fixture
def logged():
    """Log events as data: a traceback is not written out, which would read files."""
    with capture_logs() as events:
        yield events


@pytest.fixture
async def serving(dispatcher):
    """Starts workers; ends their serving afterwards."""
    tasks: list[tuple[FakeWorker, asyncio.Task[None]]] = []

    def start(*script, token: TokenName = TOKEN, sessions: int = 1) -> FakeWorker:
        worker = FakeWorker(script=list(script), sessions=sessions)
        tasks.append((worker, asyncio.create_task(dispatcher.serve(token, worker))))
        worker.serving = tasks[-1][1]
        return worker

    yield start
    for worker, task in tasks:
        worker.kill("the test is over")
        await asyncio.wait({task}, timeout=TIMEOUT)
        assert task.done()
