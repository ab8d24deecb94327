"""When certificates end, and what is said of it. Pure, the clock passed in."""

import datetime as dt
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography import x509

from segeld.model.chains import OddCertificate, readable
from segeld.model.counts import counted
from segeld.office.names import issuer_text, subject_text

NEAR_DAYS: Final = 30
"""Days before its end from which a certificate is warned of."""
_DAY: Final = 86_400.0


class Facts(NamedTuple):
    """What officers are told of a certificate."""

    not_before: float
    """Seconds since the epoch."""
    not_after: float
    subject: str
    issuer: str


@lru_cache(maxsize=4096)
def facts_of(der: bytes) -> Facts | None:
    """None if it cannot be read."""
    try:
        certificate = readable(lambda: x509.load_der_x509_certificate(der))
    except OddCertificate:
        return None
    return Facts(
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        subject_text(certificate),
        issuer_text(certificate),
    )


def warning(whose: str, not_after: float, at: float) -> str | None:
    """One sentence if it is near its end, or over.

    :param whose: how the sentence begins, such as "The certificate".
    """
    left = not_after - at
    day = f"{dt.datetime.fromtimestamp(not_after, dt.UTC):%Y-%m-%d}"
    if left <= 0:
        return f"{whose} ended on {day}."
    if left > NEAR_DAYS * _DAY:
        return None
    days = int(left // _DAY)
    when = f"in {counted(days, 'day')}" if days else "today"
    return f"{whose} ends {when}, on {day}."


def day_of(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%d %H:%M} UTC"
