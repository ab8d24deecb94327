"""Asks authorities in the background whether the certificates of keys were revoked. One at a time.

What cannot be found out is `unknown`, and refuses nothing: else whoever cuts the network would stop the signing.
"""

import asyncio
import datetime as dt
import hashlib
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

import structlog
from cryptography import x509

from segeld.model.chains import OddCertificate, readable
from segeld.model.faults import Fault
from segeld.model.inventory import KeyRecord
from segeld.office.aside import aside
from segeld.office.fetching import Unfetched, fetch
from segeld.office.names import ocsp_urls
from segeld.office.signed_status import REVOKED, UNKNOWN, NoAnswer, crl_urls, ocsp_request, of_crl, of_ocsp

MAX_OCSP: Final = 1024 * 1024
"""Octets."""
MAX_CRL: Final = 16 * MAX_OCSP
MAX_PLACES: Final = 3
"""Addresses of each kind that are tried."""
JITTER: Final = 0.1
"""Of the interval: so that not all daemons of a country ask at once."""
AGAIN: Final = 1 / 6
"""Of the interval, after which is asked again what is unknown."""
_LOOK: Final = 30.0
_log: Final = structlog.get_logger(__name__)


class Desk(Protocol):
    async def heard(self, record: KeyRecord, status: str) -> None:
        """:raises Fault: if it cannot be kept."""
        ...


def ask(chain: tuple[bytes, ...], at: dt.datetime) -> tuple[str, str]:
    """The status of a chain's first certificate, and why if it is unknown. Blocks for up to a minute.

    An empty status: it names no place to ask, or its issuer is not there, so that no answer could be verified.
    """
    try:
        leaf, issuer = (readable(partial(x509.load_der_x509_certificate, der)) for der in chain[:2])
    except (OddCertificate, ValueError):
        return "", ""
    responders, lists = _places(ocsp_urls(leaf)), _places(crl_urls(leaf))
    if not responders and not lists:
        return "", ""
    troubles: list[str] = []
    for url in responders:
        try:
            request = ocsp_request(leaf, issuer)
            answer = fetch(url, MAX_OCSP, body=request, kind="application/ocsp-request")
            return of_ocsp(answer, leaf, issuer, at), ""
        except Unfetched as why:
            troubles.append(str(why))
        except NoAnswer as why:
            troubles.append(f"{url}: {why}")
    for url in lists:
        try:
            return of_crl(fetch(url, MAX_CRL), leaf, issuer, at), ""
        except Unfetched as why:
            troubles.append(str(why))
        except NoAnswer as why:
            troubles.append(f"{url}: {why}")
    return UNKNOWN, "; ".join(troubles)


def _places(urls: Iterable[str]) -> list[str]:
    """Those first that can be had: authorities name addresses in directories (LDAP) as well."""
    return sorted(urls, key=lambda url: not url.lower().startswith(("http://", "https://")))[:MAX_PLACES]


class RevocationCheck:
    """`run` goes on until it is cancelled. A new certificate is asked about within half a minute, and the time that one
    question takes.
    """

    def __init__(
        self,
        desk: Desk,
        keys: Callable[[], Iterable[KeyRecord]],
        interval: float,
        clock: Callable[[], float],
        *,
        ask: Callable[[tuple[bytes, ...], dt.datetime], tuple[str, str]] = ask,
        look: float = _LOOK,
    ) -> None:
        """:param interval: seconds between two questions about a certificate.
        :param look: seconds between two looks for new certificates.
        """
        self._desk = desk
        self._keys = keys
        self._interval = interval
        self._clock = clock
        self._ask = ask
        self._look = look
        self._due: dict[bytes, float] = {}

    async def run(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(self._look)

    async def round(self) -> None:
        """Asks about every certificate whose time has come; about new ones first, also those that came meanwhile."""
        while (found := self._next()) is not None:
            which, record = found
            status = await self._told(record)
            pause = self._interval * (AGAIN if status == UNKNOWN else 1.0)
            self._due[which] = self._clock() + pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
            try:
                if status:
                    await self._desk.heard(record, status)
            except Fault as fault:
                self._due[which] = self._clock() + self._look
                _log.error("certificate status cannot be kept", key=str(record.name), why=fault.text)

    def _next(self) -> tuple[bytes, KeyRecord] | None:
        records = {hashlib.sha256(each.chain[0]).digest(): each for each in self._keys() if each.chain}
        self._due = {which: due for which, due in self._due.items() if which in records}
        which = min(records, key=lambda each: self._due.get(each, 0.0), default=None)
        if which is None or self._clock() < self._due.get(which, 0.0):
            return None
        return which, records[which]

    async def _told(self, record: KeyRecord) -> str:
        at = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        try:
            status, why = await aside(partial(self._ask, record.chain, at), "revocation")
        except Exception as error:  # noqa: BLE001 # whatever an authority sends, it does not end the daemon
            status, why = UNKNOWN, f"{type(error).__name__}: {error}"
        if why:
            _log.warning("certificate status is not known", key=str(record.name), why=why)
        if status == REVOKED:
            _log.error("certificate was revoked", key=str(record.name))
        return status
