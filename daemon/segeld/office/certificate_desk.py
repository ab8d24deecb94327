"""Certificates of keys: asking an authority for one, and taking what comes back."""

import asyncio
import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from cryptography import x509

from segeld.model.algorithm import EcdsaEncoding
from segeld.model.chains import OddCertificate, readable
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Order
from segeld.model.names import KeyName
from segeld.office import csr, import_chain
from segeld.office.certificate_files import CertificateFileError, read_certificates
from segeld.office.certificate_folder import CertificateFolder
from segeld.office.key_ports import Ceremonies, Signer
from segeld.office.key_records import KeyRecords
from segeld.office.key_standing import KeyStanding
from segeld.office.names import subject_text
from segeld.office.subject import BadSubject
from segeld.office.whole import whole

IN_STATE_FOLDER: Final = "state folder"
_CSR_TIME: Final = 30.0
_WHY: Final = "its certificate was refused, and the new one is of another authority"
_DISABLED: Final = (
    "Nothing is signed with the key because of the certificate that it has, and this one is not of the same authority: the "
    "key is disabled with it. To let it sign, which takes two officers: segelctl key enable {key}"
)


class CertificateDesk:
    def __init__(
        self,
        standing: KeyStanding,
        records: KeyRecords,
        folder: CertificateFolder,
        changed: Callable[[], None],
        signer: Callable[[], Signer],
        ceremonies: Callable[[], Ceremonies] | None,
        clock: Callable[[], float],
    ) -> None:
        """:param changed: called when a key has another certificate.
        :param ceremonies: None: certificates are kept in the state folder.
        """
        self._standing = standing
        self._records = records
        self._folder = folder
        self._changed = changed
        self._signer = signer
        self._ceremonies = ceremonies
        self._clock = clock
        self._turns: WeakValueDictionary[KeyName, asyncio.Lock] = WeakValueDictionary()
        """Of those who import a certificate of a key: each compares with what the one before has kept."""

    async def request(self, key: KeyName, who: str, subject: str, like: bytes) -> tuple[str, str]:
        """A request for a certificate, PEM, and its subject, RFC 4514. Recorded, and remembered until one comes.

        :raises Fault: KEY_NOT_FOUND, KEY_DISABLED, FIELD_INVALID; what the dispatcher says.
        """
        record = self._standing.require(key)
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
            self._standing.require(wanted)
        try:
            certificates = read_certificates(data)
            records = self._standing.keys()
            keys = {record.name for record in records}
            at = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
            found = import_chain.examine(certificates, keys, wanted, at, self._at_hand(records))
            import_chain.require_younger(found.chain[0], self._folder.leaf(found.key))
        except (CertificateFileError, OddCertificate, import_chain.Unfit) as error:
            raise _unfit(error) from None
        if self._lifts_a_bar(found):
            return replace(found, warnings=(*found.warnings, _DISABLED.format(key=found.key)))
        return found

    def _lifts_a_bar(self, taken: import_chain.Import) -> bool:
        """Whether nothing is signed with the key because of its certificate, and this is of another authority: what the
        policy refuses, which takes two officers to loosen, is not for one of them with an authority of their own.
        """
        record = self._standing.require(taken.key)
        fault = self._standing.bar(record)
        if fault is None or fault.reason is not Reason.KEY_CERTIFICATE or not record.chain:
            return False
        try:
            before = [readable(partial(x509.load_der_x509_certificate, der)) for der in record.chain]
        except OddCertificate:
            return True
        return not import_chain.is_of_authority(taken.chain, before)

    def _at_hand(self, records: Iterable[KeyRecord]) -> Iterator[x509.Certificate]:
        """Issuers that need not come again: those in the folder, on tokens, and in files that the configuration names."""
        yield from self._folder.all()
        for der in {issuer for record in records for issuer in record.chain[1:]}:
            with contextlib.suppress(ValueError):  # odd ones are on tokens in the field
                yield x509.load_der_x509_certificate(der)

    @whole
    async def take(self, taken: import_chain.Import, who: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Keeps what was examined; where, and what else there is to say.

        :raises Fault: CERTIFICATE_INVALID if a younger one was imported meanwhile, KEY_NOT_FOUND if the key was destroyed;
            STORAGE_UNAVAILABLE, STORAGE_FULL.
        """
        async with self._turns.setdefault(taken.key, asyncio.Lock()):
            return await self._take(taken, who)

    async def _take(self, taken: import_chain.Import, who: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        self._require_fitting(taken)
        key, fingerprint = taken.key, hashlib.sha256(taken.der[0]).hexdigest()
        # What was heard of a certificate stays: it may be the same one.
        changes: dict[str, object] = {"csr_at": 0.0, "csr_by": ""}
        facts = {"certificate": f"sha256-{fingerprint}", "subject": subject_text(taken.chain[0])}
        barred: dict[str, object] = {}
        if self._lifts_a_bar(taken):
            barred = {"disabled_at": self._clock(), "disabled_by": who, "disabled_why": _WHY}
            facts["disabled"] = _WHY
        await self._records.change(key, "certificate import begun", who, barred, **facts)
        warnings: list[str] = []
        stored = await self._on_tokens(taken, warnings)
        if not stored:
            self._require_fitting(taken)  # once more: a token may have taken long to refuse it
            try:
                await asyncio.to_thread(self._folder.write, key, taken.chain)
            except OSError as error:
                raise Fault(
                    Reason.STORAGE_UNAVAILABLE,
                    f"The certificate cannot be kept in the state folder: {error.strerror}.",
                ) from error
            stored = (IN_STATE_FOLDER,)
        where = ", ".join(stored)
        self._changed()
        try:
            await self._records.change(key, "certificate imported", who, changes, stored=where, **facts)
        except Fault as fault:
            text = f"The certificate is kept ({where}) and used, but that could not be recorded: {fault.text}"
            raise Fault(fault.reason, text, key=str(key)) from fault
        return stored, tuple(warnings)

    def _require_fitting(self, taken: import_chain.Import) -> None:
        """It was when it was examined. Others may have come in between."""
        self._standing.require(taken.key)
        try:
            import_chain.require_younger(taken.chain[0], self._folder.leaf(taken.key))
        except import_chain.Unfit as error:
            raise _unfit(error) from None

    async def _on_tokens(self, taken: import_chain.Import, warnings: list[str]) -> tuple[str, ...]:
        if self._ceremonies is None:
            return ()
        try:
            return tuple(map(str, await self._ceremonies().store_certificates(taken.key, taken.der)))
        except Fault as fault:
            warnings.append(f"It is kept in the state folder, not on the token: {fault.text}")
            return ()


def _unfit(error: ValueError) -> Fault:
    text = str(error)
    return Fault(Reason.CERTIFICATE_INVALID, f"{text[:1].upper()}{text[1:]}.", field="data")
