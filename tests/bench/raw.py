"""The references in C: plain loops over the module, which also verify each signature if they are given the public key.

They run at normal priority. segel's workers run at nice +10, which makes no difference while the other side waits.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from setting import Key

from segel_softhsm import Testbed


def build(folder: Path) -> Path:
    """Compiles `loop.c` and its parts; gives the program."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "loop"
    sources = [Path(__file__).with_name(name) for name in ("loop.c", "token.c", "verify.c")]
    subprocess.run(["cc", "-O2", "-w", "-o", program, *sources, "-ldl"], check=True)
    return program


class RawLoops:
    """Processes that wait for the word to sign."""

    def __init__(self, processes: Sequence["subprocess.Popen[str]"]) -> None:
        self._processes = processes

    def rate(self, seconds: float) -> float:
        """Signatures a second, of all together."""
        return sum(count / passed for count, passed in self._ask(f"{seconds}", self._processes))

    def single(self, count: int) -> float:
        """Seconds of one, the median of so many, of one process while the others wait."""
        return self._ask(f"median {count}", self._processes[:1])[0][1]

    @staticmethod
    def _ask(word: str, processes: Sequence["subprocess.Popen[str]"]) -> list[tuple[int, float]]:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
        return [_answer(process) for process in processes]


def _answer(process: "subprocess.Popen[str]") -> tuple[int, float]:
    assert process.stdout is not None
    count, seconds = process.stdout.readline().split()
    return int(count), float(seconds)


@contextmanager
def raw_loops(
    program: Path, testbed: Testbed, key: Key, *, verify: bool, count: int = 2
) -> Iterator[RawLoops]:
    token = testbed.token("segel-a")
    command = [str(program), str(testbed.module), token.label, str(token.pin_file), key.label, key.scheme]
    if verify:
        command.append(str(token.key(key.label).public_key))
    with ExitStack() as stack:
        processes = []
        for _ in range(count):  # one after the other: two logins to one SoftHSM2 token at a time may fail
            process = stack.enter_context(
                subprocess.Popen(
                    command, env=testbed.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the plain loop did not start; its last words are above")
            processes.append(process)
        yield RawLoops(processes)
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
