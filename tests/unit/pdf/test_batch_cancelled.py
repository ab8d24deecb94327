"""Ctrl-C in the middle of many documents: those that are done stay, of the others nothing does."""

import asyncio
from pathlib import Path

import pytest

from segel.cli.pdf_work import sign
from segel.cli.plan import plan
from segel.cli.session import Session
from segel.pdf import SealOptions


def written(pattern: str) -> list[Path]:
    return list(Path().glob(pattern))


def make(names: list[str], content: bytes) -> None:
    for name in names:
        Path(name).write_bytes(content)


async def test_nothing_half_written_is_left(client, signer, letter_bytes, monkeypatch, capsys):
    waiting = asyncio.Event()
    released = asyncio.Semaphore(3)
    really_sign = signer.sign_digest

    async def sign_digest(digest: bytes) -> bytes:
        if released.locked():
            waiting.set()
            await asyncio.Event().wait()
        await released.acquire()
        return await really_sign(digest)

    monkeypatch.setattr(signer, "sign_digest", sign_digest)
    names = [f"surat-{number}.pdf" for number in range(20)]
    make(names, letter_bytes)
    tasks = plan(names, beside=lambda path: path.with_suffix(".out"), in_folder=lambda path: path.name)
    work = asyncio.create_task(
        sign(Session(), tasks, SealOptions(), key=None, algorithm=None, force=False, password=None)
    )
    await waiting.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(written("*.out")) <= 3
    assert not written(".*.part")
    said = f"{len(written('*.out'))} of 20 signed; run it again with --skip-existing\n"
    assert capsys.readouterr().err == said
