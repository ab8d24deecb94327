"""What came back from a certification authority: whose it is, its chain, and what is missing. Pure, the clock passed in."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from segeld.model.chains import OddCertificate, extended, is_authority, readable
from segeld.model.names import KeyName
from segeld.office.expiry import NEAR_DAYS
from segeld.office.names import issuer_text, issuer_urls, subject_text

_AHEAD: Final = dt.timedelta(minutes=5)
"""So far the clock of an authority may be before ours."""


class Unfit(ValueError):
    """Certificates that cannot be taken. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Import:
    """What would be taken."""

    key: KeyName
    chain: tuple[x509.Certificate, ...]
    """The key's certificate first."""
    warnings: tuple[str, ...]

    @property
    def der(self) -> tuple[bytes, ...]:
        return tuple(each.public_bytes(Encoding.DER) for each in self.chain)


def key_of(certificate: x509.Certificate) -> KeyName:
    public = certificate.public_key()
    return KeyName.of(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def examine(
    certificates: Sequence[x509.Certificate],
    keys: Collection[KeyName],
    wanted: KeyName | None,
    at: dt.datetime,
    others: Iterable[x509.Certificate] = (),
) -> Import:
    """:param keys: those that are there.
    :param wanted: the key it must be for; None: whichever it is for.
    :param others: issuers that are at hand already.
    :raises Unfit: if nothing of it is a certificate of the key, or it is over, or has not begun.
    """
    leaf = _leaf(certificates, keys, wanted, at)
    if is_authority(leaf):
        raise Unfit(
            f"the certificate for {key_of(leaf)} is one of a certification authority (CA:TRUE): letters are not "
            "sealed with it. Ask the authority for a certificate of a seal"
        )
    if leaf.not_valid_after_utc < at:
        raise Unfit(
            f"the certificate {subject_text(leaf)} expired on {leaf.not_valid_after_utc:%Y-%m-%d}. Ask the authority for a "
            f"new one, with what segelctl key csr {key_of(leaf)} --like FILE writes"
        )
    if leaf.not_valid_before_utc > at + _AHEAD:
        raise Unfit(
            f"the certificate {subject_text(leaf)} is valid only from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC, and readers "
            "refuse what is sealed with it before then: nothing was stored. Import it when it has begun"
        )
    chain = extended([leaf], (*certificates, *others))
    return Import(key_of(leaf), chain, tuple(_warnings(certificates, chain, at)))


def require_younger(leaf: x509.Certificate, kept: x509.Certificate | None) -> None:
    """:param kept: the one of the same key that is in the state folder.
    :raises Unfit: if that one is the younger, which is the one that is used.
    """
    if kept is not None and kept.not_valid_before_utc > leaf.not_valid_before_utc:
        raise Unfit(
            f"the key has a younger certificate, {subject_text(kept)}, valid from {kept.not_valid_before_utc:%Y-%m-%d %H:%M} UTC, "
            "which goes on being used: nothing was stored. If the older one is meant, ask the authority for a new one"
        )


def is_of_authority(chain: Sequence[x509.Certificate], before: Sequence[x509.Certificate]) -> bool:
    """Whether an authority of the chain that was there before stands behind a new one. Each link was verified.

    :param chain: as `extended` made it, the key's certificate first; `before` likewise.
    """
    for issuer in chain[1:]:
        if not is_authority(issuer):
            return False
        if issuer in before[1:]:
            return True
    return False


def _leaf(
    certificates: Sequence[x509.Certificate],
    keys: Collection[KeyName],
    wanted: KeyName | None,
    at: dt.datetime,
) -> x509.Certificate:
    mine = [each for each in certificates if (key_of(each) == wanted if wanted else key_of(each) in keys)]
    if not mine:
        ends = [each for each in certificates if not is_authority(each)] or list(certificates)
        found = ", ".join(f"{subject_text(each)} for {key_of(each)}" for each in ends[:3])
        whom = f"not for {wanted}" if wanted else "for no key of the tokens that are active or were seen"
        raise Unfit(
            f"what is in it is {whom}: {found}. Look with segelctl key list whether its token is seen, and whether the "
            "authority was sent the request of that key"
        )
    mine = [each for each in mine if not is_authority(each)] or mine  # an issuer whose own key lies here too
    if len({key_of(each) for each in mine}) > 1:
        raise Unfit("it holds certificates for several keys. Name the key that is meant, and then the others")
    return max(mine, key=lambda each: (each.not_valid_before_utc <= at + _AHEAD, each.not_valid_before_utc))


def _warnings(
    given: Sequence[x509.Certificate], chain: Sequence[x509.Certificate], at: dt.datetime
) -> Iterable[str]:
    leaf, last = chain[0], chain[-1]
    if leaf.not_valid_after_utc - at < dt.timedelta(days=NEAR_DAYS):
        yield f"It ends on {leaf.not_valid_after_utc:%Y-%m-%d}."
    if not _is_root(last):
        yield gap_text(last)
    elif last is leaf:
        yield "It was issued by its own key, not by an authority: readers trust no seal of it. Send an authority a request."
    for each in chain[1:]:
        if each.not_valid_after_utc < at:
            yield f"Its issuer {subject_text(each)} expired on {each.not_valid_after_utc:%Y-%m-%d}."
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        pass
    else:
        if not (usage.digital_signature or usage.content_commitment):
            yield (
                "Its key usage names neither digitalSignature nor nonRepudiation: readers may refuse its seals. Ask the "
                "authority for one that does."
            )
    unused = [each for each in given if each not in chain]
    if unused:
        yield f"Not of its chain, and left out: {'; '.join(map(subject_text, unused[:5]))}."


def _is_root(certificate: x509.Certificate) -> bool:
    """Issued by its own key; the same name alone says nothing."""
    if certificate.issuer != certificate.subject:
        return False
    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature:
        return False
    except Exception:  # noqa: BLE001 # of a kind that is not known here: then the name must do
        return True
    return True


def gap_text(last: x509.Certificate) -> str:
    """Which issuer is missing, and where it can be had."""
    urls = issuer_urls(last)
    where = f" It can be had at {urls[0]}; import it together with the certificate." if urls else ""
    return f"Its chain has a gap: the certificate of {issuer_text(last)} is missing.{where}"


@lru_cache(maxsize=4096)
def gap_after(last: bytes) -> str:
    """The same for the last certificate of a chain, DER; empty if it is a root, or cannot be read."""
    try:
        certificate = readable(lambda: x509.load_der_x509_certificate(last))
    except OddCertificate:
        return ""
    return "" if _is_root(certificate) else gap_text(certificate)
