"""Throw-away SoftHSM2 tokens and a test PKI in a folder, for tests and demonstrations only.

    from segel_softhsm import provision

    testbed = provision(Path("/tmp/testbed"))
    token = testbed.token("segel-a")
    subprocess.run([...], env={**os.environ, **testbed.environment})

Importing this loads neither the PKCS#11 module nor certomancer: child processes do, and end when the work is done.
"""

from segel_softhsm import oddities
from segel_softhsm.errors import TestbedError
from segel_softhsm.kinds import KINDS, KeyKind
from segel_softhsm.module import find_module
from segel_softhsm.parts import Credential, Identity, TestCertificate, TestKey, TestPki, TestToken
from segel_softhsm.provisioning import add_token, provision
from segel_softhsm.testbed import Testbed

__all__ = [
    "KINDS",
    "Credential",
    "Identity",
    "KeyKind",
    "TestCertificate",
    "TestKey",
    "TestPki",
    "TestToken",
    "Testbed",
    "TestbedError",
    "add_token",
    "find_module",
    "oddities",
    "provision",
]
