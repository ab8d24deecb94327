"""The reference: as many plain loops over the module as the token has workers."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from segel_softhsm import Testbed


def build(folder: Path) -> Path:
    """Compiles `loop.c`; gives the program."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "loop"
    source = Path(__file__).with_name("loop.c")
    subprocess.run(["cc", "-O2", "-w", "-o", program, source, "-ldl"], check=True)
    return program


class RawLoops:
    """Processes that wait for the word to sign."""

    def __init__(self, processes: Sequence["subprocess.Popen[str]"]) -> None:
        self._processes = processes

    def rate(self, seconds: float) -> float:
        """Signatures a second, of all together."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        return sum(_answer(process) for process in self._processes)


def _answer(process: "subprocess.Popen[str]") -> float:
    assert process.stdout is not None
    count, seconds = process.stdout.readline().split()
    return int(count) / float(seconds)


@contextmanager
def raw_loops(program: Path, testbed: Testbed, key: str, scheme: str, count: int) -> Iterator[RawLoops]:
    token = testbed.token("segel-a")
    command = [str(program), str(testbed.module), token.label, str(token.pin_file), key, scheme]
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
