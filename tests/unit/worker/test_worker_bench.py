"""The bench: urgent first, in order, bounded, shared by threads."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from segeld.worker.bench import Bench


@given(st.lists(st.booleans(), max_size=40))
def test_urgent_first_and_each_kind_in_its_order(urgencies: list[bool]) -> None:
    bench: Bench[tuple[bool, int]] = Bench()
    for number, urgent in enumerate(urgencies):
        bench.put((urgent, number), urgent=urgent)
    taken = [bench.take() for _ in urgencies]
    assert taken == sorted(taken, key=lambda work: (not work[0], work[1]))


def test_only_urgent_work_interrupts() -> None:
    bench: Bench[str] = Bench()
    bench.put("bulk", urgent=False)
    assert not bench.urgent
    assert bench.take_urgent() is None
    bench.put("urgent", urgent=True)
    assert bench.urgent
    assert bench.take_urgent() == "urgent"
    assert bench.take() == "bulk"


def test_a_full_bench_makes_the_reader_wait() -> None:
    bench: Bench[int] = Bench(limit=2)
    through = threading.Event()

    def reader() -> None:
        for number in range(3):
            bench.put(number, urgent=False)
        through.set()

    thread = threading.Thread(target=reader)
    thread.start()
    assert bench.take() == 0
    assert through.wait(10)
    thread.join(10)
    assert [bench.take(), bench.take()] == [1, 2]


def test_full_of_bulk_work_it_still_takes_urgent_work() -> None:
    bench: Bench[str] = Bench(limit=1)
    bench.put("bulk", urgent=False)
    bench.put("urgent", urgent=True)
    assert bench.take() == "urgent"


def test_many_threads_take_each_thing_once() -> None:
    bench: Bench[int] = Bench()
    taken: list[int] = []

    def taker() -> None:
        while (work := bench.take()) >= 0:
            taken.append(work)

    threads = [threading.Thread(target=taker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(500):
        bench.put(number, urgent=number % 7 == 0)
    for _ in threads:
        bench.put(-1, urgent=False)
    for thread in threads:
        thread.join(10)
    assert sorted(taken) == list(range(500))
