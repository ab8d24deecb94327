"""Certificates near their end, of keys, listeners and callers: in the log, in the figures, and for whoever asks."""

import asyncio
import contextlib
import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from key_bench import CA, KEY, NAME, SEAL
from prometheus_client import CollectorRegistry
from status_authority import DAY, NOW, StatusAuthority, der

from segeld.office.certificate_watch import CertificateWatch
from segeld.office.conditions import certificate_conditions
from segeld.office.expiry import NEAR_DAYS

OVER = SEAL.not_valid_after_utc
FAR = OVER + 300 * DAY


class Watched:
    """One of each, and who looks at them. All end on the same day, unless told otherwise."""

    def __init__(self, bench, folder: Path) -> None:
        self.bench = bench
        self.file = folder / "server.pem"
        self.officers_file = folder / "officers.pem"
        for file in (self.file, self.officers_file):
            file.write_bytes(SEAL.public_bytes(Encoding.PEM))
        self.clients = {"tax": OVER.timestamp()}
        self.registry = CollectorRegistry()
        config = SimpleNamespace(
            listen=SimpleNamespace(tls=SimpleNamespace(certificate=self.file)),
            officers=SimpleNamespace(tls=SimpleNamespace(certificate=self.officers_file)),
        )
        self.watch = CertificateWatch(
            config, bench.desk.standing, self.registry, lambda: bench.now, self._came, breath=0.0
        )

    def _came(self):
        return sorted(self.clients.items())

    def at(self, moment: dt.datetime) -> None:
        self.bench.now = moment.timestamp()

    def end(self, kind: str, name: str) -> float | None:
        labels = {"kind": kind, "name": name}
        return self.registry.get_sample_value("segel_certificate_end_timestamp_seconds", labels)

    async def warned(self) -> list[str]:
        return [name for name, _ in await self.watch.warnings()]


@pytest.fixture
def watched(bench, tmp_path) -> Watched:
    return Watched(bench, tmp_path)


ALL = [str(NAME), "listen.tls", "officers.tls", "tax"]


@pytest.mark.parametrize(
    ("left", "names"),
    [
        (NEAR_DAYS * DAY + dt.timedelta(seconds=1), []),
        (NEAR_DAYS * DAY, ALL),
        (dt.timedelta(seconds=1), ALL),
        (-DAY, ALL),
    ],
    ids=["31st day before", "30 days before", "last second", "over"],
)
async def test_from_thirty_days_before_the_end_each_is_named(watched, left, names):
    watched.at(OVER - left)
    assert await watched.warned() == names


async def test_each_sentence_says_how_long_and_what_to_do(watched):
    watched.at(OVER - 10 * DAY)
    told = dict(await watched.watch.warnings())
    day = f"in 10 days, on {OVER:%Y-%m-%d}."
    assert told == {
        str(NAME): f"{NAME}: Its certificate ends {day} Run: segelctl key csr {NAME} --like OLD.pem",
        "listen.tls": f"The certificate of listen.tls ends {day} Put a new one into {watched.file}: it is used at once.",
        "officers.tls": (
            f"The certificate of officers.tls ends {day} Put a new one into {watched.officers_file}: it is used at once."
        ),
        "tax": f"The certificate of tax ends {day} Its people must have it renewed.",
    }
    conditions = await certificate_conditions(watched.watch.warnings)()
    assert [(each.subject, each.text) for each in conditions] == list(told.items())


async def test_what_is_beside_keys_is_told_apart(watched):
    """`segelctl status` has the keys' own warnings with the keys."""
    watched.at(OVER - 10 * DAY)
    await watched.watch.warnings()
    assert [text.split(" ends ")[0] for text in watched.watch.beside()] == [
        "The certificate of listen.tls",
        "The certificate of officers.tls",
        "The certificate of tax",
    ]


async def test_the_figures_tell_the_end_at_any_time_and_forget_who_went(watched):
    await watched.watch.warnings()
    end = OVER.timestamp()
    assert watched.end("key", str(NAME)) == watched.end("tls", "listen.tls") == end
    assert watched.end("client", "tax") == end
    watched.clients = {"registry": FAR.timestamp()}
    watched.bench.tokens.chain = ()
    await watched.watch.warnings()
    assert watched.end("client", "registry") == FAR.timestamp()
    assert watched.end("client", "tax") is None
    assert watched.end("key", str(NAME)) is None


async def test_a_file_that_is_being_replaced_is_no_reason_to_stop(watched):
    watched.at(OVER - 10 * DAY)
    watched.file.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    watched.officers_file.unlink()
    assert await watched.warned() == [str(NAME), "tax"]
    later = StatusAuthority(at=NOW + 300 * DAY).seal()
    watched.file.write_bytes(later.public_bytes(Encoding.PEM))
    assert await watched.warned() == [str(NAME), "tax"]
    assert watched.end("tls", "listen.tls") == later.not_valid_after_utc.timestamp()


@contextlib.asynccontextmanager
async def running(watched):
    task = asyncio.create_task(watched.watch.run())
    try:
        yield
    finally:
        task.cancel()


async def until(holds) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 # a figure, of which nobody is told
            await asyncio.sleep(0.001)


def said(events) -> list[str]:
    return [each["of"] for each in events if each["event"] == "certificate"]


async def a_round(watched) -> None:
    """The loop has looked once more: it shows who has just come."""
    who = f"witness-{len(watched.clients)}"
    watched.clients[who] = (FAR + 300 * DAY).timestamp()
    watched.watch.look()
    await until(lambda: watched.end("client", who) is not None)


async def test_the_log_says_it_at_once_and_then_every_day(watched, events):
    watched.at(OVER - 10 * DAY)
    async with running(watched):
        await a_round(watched)
        assert said(events) == ALL
        await a_round(watched)
        assert said(events) == ALL
        watched.at(OVER - 9 * DAY)
        await a_round(watched)
        assert said(events) == ALL * 2
    assert "in 9 days" in events[-1]["why"]
    assert events[-1]["log_level"] == "warning"


async def test_who_comes_later_is_said_when_they_come(watched, events):
    watched.at(OVER - 10 * DAY)
    watched.clients = {}
    watched.bench.tokens.there = False  # as at the start, before any token was looked at
    async with running(watched):
        await a_round(watched)
        assert said(events) == ["listen.tls", "officers.tls"]
        watched.clients["tax"] = OVER.timestamp()
        watched.bench.tokens.there = True
        await a_round(watched)
        assert sorted(said(events)[2:]) == sorted([str(NAME), "tax"])


async def test_two_hosts_of_one_caller_do_not_fill_the_log(watched, events):
    """One has renewed its certificate, the other has not; they come in turn."""
    watched.at(OVER - 10 * DAY)
    async with running(watched):
        for end in (OVER, FAR) * 5:
            watched.clients["tax"] = end.timestamp()
            await a_round(watched)
    assert said(events).count("tax") == 1


async def test_a_renewed_certificate_ends_the_warning(watched):
    watched.at(OVER - 10 * DAY)
    fresh = StatusAuthority(at=NOW + 300 * DAY).seal(public_key=KEY)
    watched.bench.tokens.chain = der(fresh, CA.certificate)
    assert str(NAME) not in await watched.warned()
