"""A daemon that has every PIN in a file starts again: what officers took out of use stays out of use."""

import pytest

import segel
from segel.testing import dev_daemon

HELD, LIMITED = "tokens/segel-a", "tokens/segel-b"
DIGEST = bytes(32)


def officer(daemon, who: str) -> segel.BlockingOfficer:
    return segel.BlockingOfficer.connect(daemon.environment["SEGELCTL_TARGET"], tls=daemon.tls(who))


def test_a_quarantine_and_a_limit_outlive_the_daemon(tmp_path) -> None:
    with (
        dev_daemon("--workers", "1", directory=tmp_path / "bed") as daemon,
        officer(daemon, "wayan") as wayan,
    ):
        before = wayan.quarantine(HELD, "the reader was found open")
        wayan.activate(LIMITED, b"", max_signatures=3)
    with dev_daemon("--workers", "1", directory=tmp_path / "bed") as daemon, officer(daemon, "made") as made:
        held, limited = made.token(HELD), made.token(LIMITED)
        assert (held.state, held.state_time) == ("quarantined", before.state_time)
        assert "wayan put it in quarantine on" in held.state_reason
        assert "the reader was found open" in held.state_reason
        assert (limited.state, limited.workers_ready) == ("inactive", 0)
        assert "wayan set limits" in limited.state_reason
        with daemon.client() as client:
            with pytest.raises(segel.errors.SegelError):
                client.signer(daemon.key).sign_digest(DIGEST)
            made.release(HELD)
            made.activate(HELD, b"")  # returns when it signs
            assert client.signer(daemon.key).sign_digest(DIGEST)
