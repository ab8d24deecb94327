"""Messages about the policy to values: pure."""

import datetime as dt
from collections.abc import Sequence

from segel import models_policy as models
from segel.v1 import policy_admin_pb2 as wire


def policy(message: wire.Policy) -> models.Policy:
    return models.Policy(
        message.toml,
        message.hash,
        message.apply_time.ToDatetime(dt.UTC),
        message.requested_by,
        message.approved_by,
        message.two_person,
        tuple(message.warnings),
        message.file_differs,
    )


def check(pages: Sequence[wire.CheckPolicyResponse]) -> models.PolicyCheck:
    """:param pages: all of them, in order."""
    first = pages[0]
    return models.PolicyCheck(
        tuple(first.problems),
        tuple(models.Difference(each.text, each.widens) for page in pages for each in page.differences),
        first.needs_approval,
        tuple(first.warnings),
        first.base,
    )


def explanation(message: wire.ExplainPolicyResponse) -> models.Explanation:
    return models.Explanation(message.allowed, tuple(message.steps))


def callers(message: wire.ListCallersResponse) -> models.Callers:
    return models.Callers(
        tuple(map(_caller, message.callers)), tuple(map(_certificate, message.certificates))
    )


def _caller(message: wire.Caller) -> models.Caller:
    return models.Caller(
        message.name,
        tuple(message.sans),
        message.revoke_time.ToDatetime(dt.UTC) if message.HasField("revoke_time") else None,
        message.revoked_by,
        message.revoke_reason,
        message.certificate_end.ToDatetime(dt.UTC) if message.HasField("certificate_end") else None,
        _fingerprint(message.certificate),
    )


def _certificate(message: wire.RevokedCertificate) -> models.RevokedCertificate:
    return models.RevokedCertificate(
        _fingerprint(message.fingerprint),
        message.revoke_time.ToDatetime(dt.UTC) if message.HasField("revoke_time") else None,
        message.revoked_by,
        message.revoke_reason,
    )


def _fingerprint(octets: bytes) -> str:
    return f"sha256-{octets.hex()}" if octets else ""
