"""What the progress bar says: what failed is counted as failed, and a large file by its octets."""

import io

from segel.cli import sources
from segel.cli.batch import _RichBar


def shown(bar: _RichBar) -> tuple[str, float]:
    (task,) = bar._progress.tasks
    return task.description, task.completed


def test_failures_are_no_successes():
    bar = _RichBar(15, "signed")
    bar.show(5, 0)
    assert shown(bar) == ("5 signed", 5)
    bar.show(5, 10)
    assert shown(bar) == ("5 signed, 10 failed", 15)


async def test_octets_of_a_large_file():
    content = bytes(3_500_000)
    bar = _RichBar(len(content), "signed", octets=True)
    with sources.reported_to(bar.advance):
        await sources.digest(io.BytesIO(content), "sha256")
    assert shown(bar) == ("reading", len(content))
