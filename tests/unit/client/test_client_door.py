"""What `import segel` gives, and how little it takes."""

import subprocess
import sys

import pytest

import segel

NAMES = [
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


def test_the_door_has_these_names_and_no_others():
    assert segel.__all__ == NAMES
    for name in NAMES:
        assert getattr(segel, name) is not None
    assert {*NAMES, "errors"} <= set(dir(segel))
    assert segel.errors.SegelError is segel.SegelError
    with pytest.raises(AttributeError, match="no attribute 'Cleint'"):
        _ = segel.Cleint


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import segel.v1.signing_pb2", {"grpc", "asyncio", "ssl", "segel.errors"}),
        ("import segel; segel.errors; segel.Settings", {"grpc", "google.protobuf", "asyncio"}),
        ("import segel; segel.Client; segel.BlockingClient", {"cryptography", "pyhanko", "rich", "typer"}),
    ],
)
def test_imports_are_light(statement, absent):
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not absent & set(loaded.stdout.split())
