"""Signs with keys that never leave their PKCS#11 tokens: the client of segeld.

    async with segel.Client.connect("localhost:7443", tls=segel.Tls(ca=..., cert=..., key=...)) as client:
        signer = await client.signer("keys/seal-2026")
        signature = await signer.sign_digest(hashlib.sha256(document).digest())

`segel.BlockingClient` is the same without ``await``. What can go wrong stands in `segel.errors`.

The names below are imported when they are first used, so that whoever wants the messages of `segel.v1` alone
does not load gRPC.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segel._algorithms import Algorithm as Algorithm
    from segel._tls import Tls as Tls
    from segel.blocking import BlockingClient as BlockingClient
    from segel.blocking import BlockingOfficer as BlockingOfficer
    from segel.client import Client as Client
    from segel.client import connect as connect
    from segel.errors import SegelError as SegelError
    from segel.job import JobHandle as JobHandle
    from segel.models import Failure as Failure
    from segel.models import Job as Job
    from segel.models import JobState as JobState
    from segel.models import Key as Key
    from segel.models import Signature as Signature
    from segel.officer import Officer as Officer
    from segel.settings import Settings as Settings
    from segel.signer import Signer as Signer

_HOME = {
    "Algorithm": "segel._algorithms",
    "BlockingClient": "segel.blocking",
    "BlockingOfficer": "segel.blocking",
    "Client": "segel.client",
    "Failure": "segel.models",
    "Job": "segel.models",
    "JobHandle": "segel.job",
    "JobState": "segel.models",
    "Key": "segel.models",
    "Officer": "segel.officer",
    "SegelError": "segel.errors",
    "Settings": "segel.settings",
    "Signature": "segel.models",
    "Signer": "segel.signer",
    "Tls": "segel._tls",
    "connect": "segel.client",
}

__all__ = [
    "Algorithm",
    "BlockingClient",
    "BlockingOfficer",
    "Client",
    "Failure",
    "Job",
    "JobHandle",
    "JobState",
    "Key",
    "Officer",
    "SegelError",
    "Settings",
    "Signature",
    "Signer",
    "Tls",
    "connect",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("segel.errors")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'segel' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "errors"})
