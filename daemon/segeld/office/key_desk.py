"""Everything that officers decide of keys, made in one place; and the hours at which time alone changes how they stand."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from segeld.config.schema import Config
from segeld.jobqueue.store import Records
from segeld.office.certificate_desk import CertificateDesk
from segeld.office.certificate_folder import CertificateFolder
from segeld.office.key_ports import Ceremonies, Policy, Signer, Tokens
from segeld.office.key_records import KeyRecords
from segeld.office.key_rules import next_turn
from segeld.office.key_standing import KeyStanding
from segeld.office.key_withdrawal import KeyWithdrawal

_LONGEST_WAIT: Final = 600.0
"""Seconds after which everything is looked at anew: the clock may have been set."""


class KeyDesk:
    """`load` before anything else; `run` goes on until it is cancelled."""

    def __init__(
        self,
        config: Config,
        tokens: Callable[[], Tokens],
        policy: Callable[[], Policy],
        signer: Callable[[], Signer],
        *,
        ceremonies: Callable[[], Ceremonies] | None = None,
        beside: Callable[[], tuple[str, ...]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """:param ceremonies: None: certificates are kept in the state folder, and no key is destroyed.
        :param beside: sentences on what is not of keys: other certificates, tokens.
        """
        self.beside: Final = beside
        self._tokens = tokens
        self._clock = clock
        self._records = KeyRecords()
        self._folder = CertificateFolder(config.state_dir)
        self._turned = asyncio.Event()
        self.standing: Final = KeyStanding(tokens, policy, self._records, self._folder, clock)
        self.withdrawal: Final = KeyWithdrawal(
            self.standing, self._records, self._folder, self._changed, ceremonies, clock
        )
        self.certificates: Final = CertificateDesk(
            self.standing, self._records, self._folder, self._changed, signer, ceremonies, clock
        )

    async def load(self, records: Records) -> None:
        await self._records.load(records)
        await asyncio.to_thread(self._folder.load)

    async def run(self) -> None:
        """Looks again whenever a certificate begins or ends."""
        while True:
            now = self._clock()
            turns = [turn for _, facts in self.standing.ends() if (turn := next_turn(facts, now)) is not None]
            self._turned.clear()
            wait = max(0.0, min([_LONGEST_WAIT, *(turn - now for turn in turns)]))
            try:
                async with asyncio.timeout(wait + 0.01):
                    await self._turned.wait()
            except TimeoutError:
                self._tokens().review()

    def look(self) -> None:
        """Keys or the policy may have changed."""
        self._turned.set()

    def _changed(self) -> None:
        self._tokens().review()
        self.look()
