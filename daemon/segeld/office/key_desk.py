"""What officers decide of keys: withdrawing them, asking for certificates and taking those that come back."""

import asyncio
import datetime as dt
import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol

import structlog

from segeld.config.schema import Config
from segeld.jobqueue.store import Records
from segeld.model.algorithm import EcdsaEncoding
from segeld.model.chains import OddCertificate
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Order, Signed
from segeld.model.names import KeyName, TokenName
from segeld.office import csr, import_chain
from segeld.office.certificate_files import CertificateFileError, read_certificates
from segeld.office.certificate_folder import CertificateFolder
from segeld.office.expiry import Facts, facts_of, warning
from segeld.office.key_records import KeyNote, KeyRecords
from segeld.office.key_rules import Options, next_turn, refusal
from segeld.office.subject import BadSubject
from segeld.supervisor.ceremonies import DestroyedHalf

DESTROY_AFTER: Final = 30 * 86_400.0
"""Seconds that a key must have been disabled before it may be destroyed."""
MAX_REASON: Final = 500
"""Characters."""
IN_STATE_FOLDER: Final = "state folder"
_CSR_TIME: Final = 30.0
_LONGEST_WAIT: Final = 600.0
"""Seconds after which everything is looked at anew: the clock may have been set."""
_DAY: Final = 86_400.0
_log: Final = structlog.get_logger(__name__)


class Policy(Protocol):
    def options_of(self, key: KeyName) -> Options: ...


class Signer(Protocol):
    async def sign(self, order: Order) -> Signed: ...


class Tokens(Protocol):
    """The supervisor, as this desk needs it."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    def keys(self) -> tuple[KeyRecord, ...]: ...

    def review(self) -> None: ...


class Ceremonies(Protocol):
    """What is done on tokens beside signing."""

    async def store_certificates(self, key: KeyName, chain: tuple[bytes, ...]) -> tuple[TokenName, ...]:
        """The tokens that took them.

        :raises Fault: why none did.
        """
        ...

    async def destroy_key(self, key: KeyName) -> tuple[TokenName, ...]:
        """The tokens that held it.

        :raises Fault: if it is on a token that cannot be reached.
        :raises DestroyedHalf: if some token has destroyed it before another failed.
        """
        ...


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
        :param beside: sentences on certificates that are not of keys.
        """
        self.beside: Final = beside
        self._ceremonies = ceremonies
        self._tokens = tokens
        self._policy = policy
        self._signer = signer
        self._clock = clock
        self._records = KeyRecords()
        self._folder = CertificateFolder(config.state_dir)
        self._turned = asyncio.Event()

    async def load(self, records: Records) -> None:
        await self._records.load(records)
        await asyncio.to_thread(self._folder.load)

    async def run(self) -> None:
        """Looks again whenever a certificate begins or ends, and says once a day which are near their end."""
        said = 0.0
        while True:
            now = self._clock()
            if now - said >= _DAY:
                said = now
                for name, text in self.warned():
                    _log.warning("certificate", key=name, why=text)
            turns = [turn for _, facts in self.ends() if (turn := next_turn(facts, now)) is not None]
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

    # --- for the supervisor

    def chain(self, key: KeyName, found: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The key's chain: of what is on its tokens and what is in the state folder, the younger."""
        kept = self._folder.chain(key)
        if not kept:
            return found
        mine, theirs = facts_of(kept[0]), facts_of(found[0]) if found else None
        if theirs is None or (mine is not None and mine.not_before >= theirs.not_before):
            return kept
        return found

    def bar(self, record: KeyRecord) -> Fault | None:
        """Why nothing is signed with a key, whatever its tokens can; None if it may be."""
        note = self._records[record.name]
        der = record.chain[0] if record.chain else b""
        return refusal(
            record.name,
            note,
            facts_of(der) if der else None,
            self._policy().options_of(record.name),
            self._clock(),
            revoked=self._is_revoked(note, der),
        )

    @staticmethod
    def _is_revoked(note: KeyNote, der: bytes) -> bool:
        return note.revocation == "revoked" and note.revocation_of == hashlib.sha256(der).digest()

    # --- reading

    def refusal(self, key: KeyName) -> Fault | None:
        """The same as `bar`, by name; None for a key that is not there."""
        record = self._tokens().key(key)
        return self.bar(record) if record is not None else None

    def note(self, key: KeyName) -> KeyNote:
        return self._records[key]

    def facts(self, record: KeyRecord) -> Facts | None:
        return facts_of(record.chain[0]) if record.chain else None

    def revocation(self, record: KeyRecord) -> str:
        """What was last heard of its certificate; empty if nothing was asked."""
        note = self._records[record.name]
        der = record.chain[0] if record.chain else b""
        return note.revocation if note.revocation_of == hashlib.sha256(der).digest() else ""

    def key_warnings(self, record: KeyRecord) -> tuple[str, ...]:
        """What officers should know of a key, a sentence each."""
        facts, found = self.facts(record), []
        if facts is None:
            found.append("It has no certificate.")
        elif (text := warning("Its certificate", facts.not_after, self._clock())) is not None:
            found.append(text)
        if self.revocation(record) == "revoked":
            found.append("Its certificate was revoked.")
        return tuple(found)

    def warned(self) -> list[tuple[str, str]]:
        """Of all keys with a certificate: which is near its end, over, or revoked."""
        return [
            (str(record.name), text)
            for record in self._tokens().keys()  # noqa: SIM118 # a method
            if record.chain
            for text in self.key_warnings(record)
        ]

    def ends(self) -> list[tuple[str, Facts]]:
        """The certificates of all keys."""
        found = ((record.name, self.facts(record)) for record in self._tokens().keys())  # noqa: SIM118 # a method
        return [(str(name), facts) for name, facts in found if facts is not None]

    # --- withdrawing

    async def disable(self, key: KeyName, who: str, why: str) -> None:
        """:raises Fault: KEY_NOT_FOUND, KEY_DISABLED if it is already, FIELD_INVALID."""
        self.require(key)
        if not why.strip() or not why.isprintable():
            raise Fault(
                Reason.FIELD_INVALID,
                "reason: say why, in one line of printable characters; it is kept in the audit log.",
                field="reason",
            )
        if (note := self._records[key]).disabled_at:
            raise Fault(
                Reason.KEY_DISABLED, f"{key} was disabled before, by {note.disabled_by}.", key=str(key)
            )
        why = why[:MAX_REASON]
        changes = {"disabled_at": self._clock(), "disabled_by": who, "disabled_why": why}
        await self._records.change(key, "key disabled", who, changes, reason=why)
        self._tokens().review()

    async def enable(self, key: KeyName, who: str, approved_by: str = "") -> None:
        """:raises Fault: KEY_NOT_FOUND, CHANGE_STATE if it is enabled."""
        self.require_disabled(key)
        changes = {"disabled_at": 0.0, "disabled_by": "", "disabled_why": ""}
        facts = {"approved_by": approved_by} if approved_by else {}
        await self._records.change(key, "key enabled", who, changes, **facts)
        self._tokens().review()

    def require_destroyable(self, key: KeyName) -> KeyRecord:
        """:raises Fault: KEY_NOT_FOUND; CHANGE_STATE if it has not been disabled for 30 days."""
        record, note = self.require(key), self.require_disabled(key)
        left = note.disabled_at + DESTROY_AFTER - self._clock()
        if left > 0:
            raise Fault(
                Reason.CHANGE_STATE,
                f"{key} may be destroyed when it has been disabled for 30 days: in {int(left // _DAY) + 1} days.",
                key=str(key),
            )
        return record

    async def destroy(self, key: KeyName, who: str, approved_by: str = "") -> tuple[TokenName, ...]:
        """Removes it from its tokens.

        :raises Fault: as `require_destroyable`, and what its tokens say: it is where it was.
        :raises DestroyedHalf: what failed after it was removed from some token.
        """
        self.require_destroyable(key)
        if self._ceremonies is None:
            raise Fault(Reason.TOKEN_STATE, "This daemon removes nothing from its tokens.", key=str(key))
        facts = {"approved_by": approved_by} if approved_by else {}
        await self._records.change(key, "key destruction begun", who, {}, **facts)
        try:
            gone = await self._ceremonies().destroy_key(key)
        except DestroyedHalf as half:
            with suppress(Fault):  # what befell the key is worse
                await self._records.change(
                    key, "key destroyed in part", who, {}, tokens=_words(half.gone), **facts
                )
            raise
        try:
            await asyncio.to_thread(self._folder.remove, key)
            changes = {"destroyed_at": self._clock(), "destroyed_by": who}
            await self._records.change(key, "key destroyed", who, changes, tokens=_words(gone), **facts)
        except Fault as fault:
            raise DestroyedHalf(fault, gone) from fault
        except OSError as error:
            text = f"Its certificate in the state folder cannot be removed: {error.strerror}."
            raise DestroyedHalf(Fault(Reason.STORAGE_UNAVAILABLE, text), gone) from error
        return gone

    def require(self, key: KeyName) -> KeyRecord:
        """:raises Fault: KEY_NOT_FOUND."""
        record = self._tokens().key(key)
        if record is None:
            raise Fault(Reason.KEY_NOT_FOUND, f"No token that was seen holds {key}.", key=str(key))
        return record

    def require_disabled(self, key: KeyName) -> KeyNote:
        """:raises Fault: KEY_NOT_FOUND, CHANGE_STATE."""
        self.require(key)
        note = self._records[key]
        if not note.disabled_at:
            raise Fault(
                Reason.CHANGE_STATE,
                f"{key} is not disabled. Run: segelctl key disable {key}",
                key=str(key),
            )
        return note

    # --- certificates

    async def request(self, key: KeyName, who: str, subject: str, like: bytes) -> tuple[str, str]:
        """A request for a certificate, PEM, and its subject, RFC 4514. Recorded, and remembered until one comes.

        :raises Fault: KEY_NOT_FOUND, KEY_DISABLED, FIELD_INVALID; what the dispatcher says.
        """
        record = self.require(key)
        if record.kind is None:
            raise Fault(
                Reason.KEY_UNUSABLE, f"{key} is of a kind that segel does not sign with.", key=str(key)
            )
        field = "like" if like else "subject"
        if bool(like) == bool(subject):
            raise Fault(
                Reason.FIELD_INVALID, "subject: give either a subject or a certificate.", field="subject"
            )
        try:
            draft = (
                csr.draft_like(record.public_key, record.kind, like)
                if like
                else csr.draft(record.public_key, record.kind, subject)
            )
        except BadSubject as error:
            raise Fault(
                Reason.FIELD_INVALID, f"{field}: the subject is not valid: {error}.", field=field
            ) from None
        order = Order(
            caller=who,
            key=key,
            algorithm=draft.algorithm,
            encoding=EcdsaEncoding.DER,
            inputs=(draft.input,),
            deadline=Deadline.after(_CSR_TIME),
            request_id="",
            uncertified=True,
        )
        outcome = (await self._signer().sign(order)).outcomes[0]
        if isinstance(outcome, Fault):
            raise outcome
        pem = draft.signed(outcome.value).decode()
        changes = {"csr_at": self._clock(), "csr_by": who}
        await self._records.change(key, "certificate request made", who, changes, subject=draft.subject)
        return pem, draft.subject

    def examine(self, data: bytes, wanted: KeyName | None) -> import_chain.Import:
        """What would be taken of a file. Changes nothing.

        :raises Fault: CERTIFICATE_INVALID, KEY_NOT_FOUND.
        """
        if wanted is not None:
            self.require(wanted)
        try:
            certificates = read_certificates(data)
            keys = {record.name for record in self._tokens().keys()}  # noqa: SIM118 # a method
            at = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
            return import_chain.examine(certificates, keys, wanted, at, self._folder.all())
        except (CertificateFileError, OddCertificate, import_chain.Unfit) as error:
            text = str(error)
            raise Fault(Reason.CERTIFICATE_INVALID, f"{text[:1].upper()}{text[1:]}.", field="data") from None

    async def take(self, taken: import_chain.Import, who: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Keeps what was examined; where, and what else there is to say.

        :raises Fault: STORAGE_UNAVAILABLE, STORAGE_FULL.
        """
        key, fingerprint = taken.key, hashlib.sha256(taken.der[0]).hexdigest()
        changes = {"csr_at": 0.0, "csr_by": "", "revocation": "", "revocation_at": 0.0, "revocation_of": b""}
        facts = {"certificate": f"sha256-{fingerprint}", "subject": taken.chain[0].subject.rfc4514_string()}
        await self._records.change(key, "certificate import begun", who, {}, **facts)
        warnings: list[str] = []
        stored = await self._on_tokens(taken, warnings)
        if not stored:
            try:
                await asyncio.to_thread(self._folder.write, key, taken.chain)
            except OSError as error:
                raise Fault(
                    Reason.STORAGE_UNAVAILABLE,
                    f"The certificate cannot be kept in the state folder: {error.strerror}.",
                ) from error
            stored = (IN_STATE_FOLDER,)
        await self._records.change(
            key, "certificate imported", who, changes, stored=", ".join(stored), **facts
        )
        self._tokens().review()
        self.look()
        return stored, tuple(warnings)

    async def _on_tokens(self, taken: import_chain.Import, warnings: list[str]) -> tuple[str, ...]:
        if self._ceremonies is None:
            return ()
        try:
            return tuple(map(str, await self._ceremonies().store_certificates(taken.key, taken.der)))
        except Fault as fault:
            warnings.append(f"It is kept in the state folder, not on the token: {fault.text}")
            return ()

    async def heard(self, record: KeyRecord, status: str) -> None:
        """What an authority says of the key's certificate."""
        der = record.chain[0]
        changes = {
            "revocation": status,
            "revocation_at": self._clock(),
            "revocation_of": hashlib.sha256(der).digest(),
        }
        before = self.revocation(record)
        if before == status:
            return  # nothing that the log should say again
        if before == "revoked" and status == "unknown":
            return  # else whoever cuts the network would let it sign again
        await self._records.change(record.name, "certificate status", "", changes, status=status)
        self._tokens().review()


def _words(tokens: Iterable[TokenName]) -> str:
    return ", ".join(map(str, tokens))
