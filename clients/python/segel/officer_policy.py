"""The policy in force, what another one would change, and who is shut out. Policies are changed by `OfficerChanges`."""

from typing import Final

from segel import _convert_policy as convert
from segel._connection import CALL_TIMEOUT, Connection
from segel.models_policy import Callers, Explanation, Policy, PolicyCheck, Revoked
from segel.v1 import policy_admin_pb2
from segel.v1.policy_admin_pb2_grpc import PolicyAdminStub

CHECK_TIMEOUT: Final = 60.0
"""Seconds that looking at a large policy may take."""


class OfficerPolicy:
    """The policy of one daemon. Reached as `Officer.policy`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self) -> Policy:
        """The policy in force.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: PolicyAdminStub(channel).GetPolicy,
            policy_admin_pb2.GetPolicyRequest(),
            timeout=CALL_TIMEOUT,
        )
        return convert.policy(response)

    async def check(self, toml: str) -> PolicyCheck:
        """All that a policy would change, and what is wrong with it. Changes nothing.

        :raises ChangeStateError: if another policy is put in force meanwhile: ask again.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        pages: list[policy_admin_pb2.CheckPolicyResponse] = []
        while not pages or pages[-1].next_page_token:
            page_token = pages[-1].next_page_token if pages else ""
            request = policy_admin_pb2.CheckPolicyRequest(toml=toml, page_token=page_token)
            pages.append(
                await self._connection.call(
                    lambda channel: PolicyAdminStub(channel).CheckPolicy, request, timeout=CHECK_TIMEOUT
                )
            )
        return convert.check(pages)

    async def explain(self, caller: str, key: str = "", algorithm: str = "") -> Explanation:
        """Why a caller may sign or not.

        :param key: ``keys/…``; empty: all that are granted.
        :param algorithm: such as ``ECDSA_P256_SHA256``; empty: all.
        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        request = policy_admin_pb2.ExplainPolicyRequest(caller=caller, key=key, algorithm=algorithm)
        response = await self._connection.call(
            lambda channel: PolicyAdminStub(channel).ExplainPolicy, request, timeout=CALL_TIMEOUT
        )
        return convert.explanation(response)

    async def callers(self) -> Callers:
        """The callers of the policy and how they stand, and certificates that were revoked.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: PolicyAdminStub(channel).ListCallers,
            policy_admin_pb2.ListCallersRequest(),
            timeout=CALL_TIMEOUT,
        )
        return convert.callers(response)

    async def revoke(self, caller: str, reason: str) -> Revoked:
        """Shuts a caller, or one certificate, out at once. To let it in again is a change: `UnrevokeCaller`.

        :param caller: a name of the policy, or ``sha256-…`` of a certificate.
        :param reason: for the audit log.
        :raises CallerNotFound: if nobody has that name.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: PolicyAdminStub(channel).RevokeCaller,
            policy_admin_pb2.RevokeCallerRequest(caller=caller, reason=reason),
            timeout=CALL_TIMEOUT,
        )
        return Revoked(response.cut, response.jobs_held)
