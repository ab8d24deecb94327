"""The certificate chain of a key, as far as it lies on the token."""

import datetime as dt
from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding

from segeld.model.chains import extended
from segeld.worker import public_keys
from segeld.worker.objects import CertificateObject


def chain_of(spki: bytes, cka_id: bytes, certificates: Sequence[CertificateObject]) -> tuple[bytes, ...]:
    """The key's own certificate and its issuers, DER; nothing if it has none.

    Of several certificates for one key those that have begun go first, then the one with the key's CKA_ID, then the
    youngest.
    """
    own = [found for found in certificates if public_keys.to_spki(found.key) == spki]
    if not own:
        return ()
    now = dt.datetime.now(dt.UTC)

    def rank(one: CertificateObject) -> tuple[bool, bool, dt.datetime]:
        begins = one.certificate.not_valid_before_utc
        return begins <= now, one.cka_id == cka_id, begins

    first = max(own, key=rank).certificate
    chain = extended([first], (found.certificate for found in certificates))
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)
