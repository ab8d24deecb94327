"""A daemon that has every PIN in a file starts again: what officers took out of use stays out of use, and callers are told
what their keys wait for.
"""

from pathlib import Path

import pytest

import segel
from segel.testing import dev_daemon

HELD, LIMITED = "tokens/segel-a", "tokens/segel-b"
DIGEST = bytes(32)


def officer(daemon, who: str) -> segel.BlockingOfficer:
    return segel.BlockingOfficer.connect(daemon.environment["SEGELCTL_TARGET"], tls=daemon.tls(who))


def pulled_out(bed: Path, serial: str) -> tuple[Path, Path]:
    """The folder of a token, out of the module's sight; and where it belongs."""
    (folder,) = [each for each in (bed / "tokens").iterdir() if each.name.replace("-", "").endswith(serial)]
    return folder.rename(bed / folder.name), folder


def test_a_quarantine_and_a_limit_outlive_the_daemon_and_a_key_is_known_without_its_token(tmp_path) -> None:
    bed = tmp_path / "bed"
    with dev_daemon("--workers", "1", directory=bed) as daemon, officer(daemon, "wayan") as wayan:
        before = wayan.quarantine(HELD, "the reader was found open")
        wayan.activate(LIMITED, b"", max_signatures=3)
    away, place = pulled_out(bed, before.serial)
    with dev_daemon("--workers", "1", directory=bed) as daemon, officer(daemon, "made") as made:
        held, limited = made.token(HELD), made.token(LIMITED)
        assert (held.state, held.state_time) == ("quarantined", before.state_time)
        assert "wayan put it in quarantine on" in held.state_reason
        assert "the reader was found open" in held.state_reason
        assert (limited.state, limited.workers_ready) == ("inactive", 0)
        assert "wayan set limits" in limited.state_reason
        with daemon.client() as client:
            signer = client.signer(daemon.key)
            with pytest.raises(segel.errors.TokenNotReady) as refused:
                signer.sign_digest(DIGEST)
            assert refused.value.reason == "TOKEN_QUARANTINED"
            assert "segelctl token show segel-a" in str(refused.value)
            job = client.jobs.create(daemon.key, [DIGEST] * 3)
            assert job.refresh().state == "queued"
            made.release(HELD)
            away.rename(place)
            made.activate(HELD, b"")  # returns when it signs
            assert signer.sign_digest(DIGEST)
            assert [type(each) for each in job.results()] == [segel.Signature] * 3
