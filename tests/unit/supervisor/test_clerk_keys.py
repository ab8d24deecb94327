"""What a ceremony with keys asks of its worker."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

from segeld.config.schema import Timeouts
from segeld.ipc import ceremony_wire as wire
from segeld.model.names import KeyName, TokenName
from segeld.supervisor.clerk_keys import KeyCeremonies

KEY, CERTIFICATE, CONFIGURED = b"key", b"certificate", (b"key", b"other")


class FakeWorker:
    def __init__(self) -> None:
        self.asked: list = []

    async def perform(self, request, expected, patience):
        self.asked.append(request(1))
        return expected(1, 0)


async def test_keys_that_only_the_configuration_knows_are_told_to_whoever_looks_for_one(monkeypatch) -> None:
    gone: list[KeyName] = []

    async def destroyed(key: KeyName) -> None:
        gone.append(key)

    host = SimpleNamespace(
        destroyed=destroyed,
        name=TokenName("a"),
        config=SimpleNamespace(timeouts=Timeouts()),
        public_keys=lambda: CONFIGURED,
    )
    ceremonies, worker = KeyCeremonies(host, None, None), FakeWorker()

    @asynccontextmanager
    async def user(*, writable: bool):
        assert writable
        yield worker

    async def shown() -> str:
        return ""

    monkeypatch.setattr(ceremonies, "_user", user)
    monkeypatch.setattr(ceremonies, "_show_anew", shown)
    await ceremonies.store_certificates(KEY, (CERTIFICATE,))
    await ceremonies.destroy_key(KEY)
    assert worker.asked == [
        wire.StoreCertificates(1, KEY, (CERTIFICATE,), CONFIGURED),
        wire.DestroyKey(1, KEY, CONFIGURED),
    ]
    assert gone == [KeyName.of(KEY)]
