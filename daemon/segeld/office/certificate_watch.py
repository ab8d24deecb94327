"""Certificates near their end, of keys, of the daemon's own listeners and of who comes to them: for status, notices, figures
and the log.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import CollectorRegistry, Gauge

from segeld.config.schema import Config
from segeld.office.expiry import Facts, facts_of, warning
from segeld.office.key_standing import KeyStanding

_KEY: Final = "key"
_LISTENER: Final = "tls"
_CLIENT: Final = "client"
_DAY: Final = 86_400.0
_PAUSE: Final = 300.0
"""Seconds between two looks, if nothing happens."""
_BREATH: Final = 1.0
"""Seconds between two looks, whatever happens: two hosts of one caller come with two certificates in turn."""
_log: Final = structlog.get_logger(__name__)


class CertificateWatch:
    """`warnings` is cheap enough to be asked every minute: three small files, and what is in memory."""

    def __init__(
        self,
        config: Config,
        keys: KeyStanding,
        registry: CollectorRegistry,
        clock: Callable[[], float],
        clients: Callable[[], Iterable[tuple[str, float]]],
        *,
        breath: float = _BREATH,
    ) -> None:
        """:param clients: who came, by name, and when their certificates end."""
        self._keys = keys
        self._clock = clock
        self._clients = clients
        self._breath = breath
        self._called = asyncio.Event()
        self._last: dict[str, Facts] = {}
        self._said: dict[str, float] = {}
        """When the log last said something of a certificate."""
        self._shown: set[tuple[str, str]] = set()
        files: dict[str, Path] = {"listen.tls": config.listen.tls.certificate}
        if config.officers.tls is not None:
            files["officers.tls"] = config.officers.tls.certificate
        self._files: Final = files
        self._ends = Gauge(
            "segel_certificate_end_timestamp_seconds",
            "When a certificate ends, in seconds since the epoch.",
            ("kind", "name"),
            registry=registry,
        )

    async def run(self) -> None:
        """Keeps the figures, and says in the log which of them is near its end: at once, and then every day."""
        while True:
            self._called.clear()
            listeners = await asyncio.to_thread(self._listeners)
            self._show(listeners)
            self._say(listeners)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    await self._called.wait()
            await asyncio.sleep(self._breath)

    def look(self) -> None:
        """Keys, or who came, may have changed."""
        self._called.set()

    async def warnings(self) -> list[tuple[str, str]]:
        """Whose certificate, and a sentence with what to do."""
        listeners = await asyncio.to_thread(self._listeners)
        self._show(listeners)
        return [*self._of_keys(), *self._of_listeners(listeners), *self._of_clients()]

    def beside(self) -> tuple[str, ...]:
        """The sentences that are not about keys, as the files were when they were last looked at."""
        return tuple(text for _, text in (*self._of_listeners(self._last), *self._of_clients()))

    def _of_keys(self) -> Iterator[tuple[str, str]]:
        for name, text in self._keys.warned():
            yield name, f"{name}: {text} Run: segelctl key csr {name} --like OLD.pem"

    def _of_listeners(self, listeners: dict[str, Facts]) -> Iterator[tuple[str, str]]:
        for name, facts in listeners.items():
            text = warning(f"The certificate of {name}", facts.not_after, self._clock())
            if text is not None:
                yield name, f"{text} Put a new one into {self._files[name]}: it is used at once."

    def _of_clients(self) -> Iterator[tuple[str, str]]:
        for name, end in self._clients():
            text = warning(f"The certificate of {name}", end, self._clock())
            if text is not None:
                yield name, f"{text} Its people must have it renewed."

    def _listeners(self) -> dict[str, Facts]:
        found: dict[str, Facts] = {}
        for name, path in self._files.items():
            try:
                first = x509.load_pem_x509_certificates(path.read_bytes())[0]
            except (OSError, ValueError):
                continue  # being replaced; the listener says so if it stays so
            if (facts := facts_of(first.public_bytes(Encoding.DER))) is not None:
                found[name] = facts
        return found

    def _say(self, listeners: dict[str, Facts]) -> None:
        now = self._clock()
        self._said = {name: at for name, at in self._said.items() if now - at < _DAY}
        told = [*self._of_keys(), *self._of_listeners(listeners), *self._of_clients()]
        due = [(name, text) for name, text in told if name not in self._said]
        for name, text in due:
            _log.warning("certificate", of=name, why=text)
        self._said |= {name: now for name, _ in due}

    def _show(self, listeners: dict[str, Facts]) -> None:
        self._last = listeners
        ends = {(_KEY, name): facts.not_after for name, facts in self._keys.ends()}
        ends |= {(_LISTENER, name): facts.not_after for name, facts in listeners.items()}
        ends |= {(_CLIENT, name): end for name, end in self._clients()}
        for gone in self._shown - ends.keys():
            self._ends.remove(*gone)
        for labels, end in ends.items():  # never all of them removed first: somebody may be reading
            self._ends.labels(*labels).set(end)
        self._shown = set(ends)
