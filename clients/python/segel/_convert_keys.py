"""Messages about keys to values: pure."""

import datetime as dt

from google.protobuf.timestamp_pb2 import Timestamp

from segel import _convert
from segel import models_keys as models
from segel.v1 import token_admin_pb2 as wire


def managed_key(message: wire.ManagedKey) -> models.ManagedKey:
    def when(field: str) -> dt.datetime | None:
        stamp: Timestamp = getattr(message, field)
        return stamp.ToDatetime(dt.UTC) if message.HasField(field) else None  # type: ignore[arg-type]

    return models.ManagedKey(
        key=_convert.key(message.key),
        places=tuple(models.Place(each.token, each.label, each.id) for each in message.places),
        disable_time=when("disable_time"),
        disabled_by=message.disabled_by,
        csr_time=when("csr_time"),
        not_before=when("not_before"),
        not_after=when("not_after"),
        subject=message.subject,
        issuer=message.issuer,
        revocation=message.revocation,
        warnings=tuple(message.warnings),
        callers=tuple(message.callers),
        disable_reason=message.disable_reason,
        chain_gap=message.chain_gap,
        kind=message.kind,
    )


def imported(message: wire.ImportCertificateResponse) -> models.Imported:
    return models.Imported(managed_key(message.key), tuple(message.stored), tuple(message.warnings))
