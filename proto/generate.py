"""Lints the protos with buf and generates the Python stubs. `--check` writes nothing and fails on a difference."""

import argparse
import filecmp
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
STUBS: Final = HERE.parent / "clients/python/segel/v1"
SCRIPTS: Final = Path(sysconfig.get_path("scripts"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is checked in")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        lint(work)
        made = generate(work)
        if not check:
            for old in STUBS.glob("*_pb2*"):
                old.unlink()
            for new in made:
                shutil.copyfile(new, STUBS / new.name)
            return 0
        stale = differing(made)
    if stale:
        print(f"Generated code is not current: {', '.join(stale)}. Run: make proto", file=sys.stderr)
    return 1 if stale else 0


def protoc(*options: str) -> None:
    imported = distribution("googleapis-common-protos").locate_file("")
    files = sorted(str(path.relative_to(HERE)) for path in HERE.glob("segel/v1/*.proto"))
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", "-I", str(imported), *options, *files],
        cwd=HERE,
        check=True,
    )


def lint(work: Path) -> None:
    """The linter buf sees an image with the imported protos in it, so that it needs no registry."""
    image = work / "segel.binpb"
    protoc("--include_imports", "--include_source_info", "-o", str(image))
    linted = subprocess.run([SCRIPTS / "buf", "lint", image, "--config", HERE / "buf.yaml"], check=False)
    if linted.returncode:
        sys.exit(linted.returncode)


def generate(work: Path) -> list[Path]:
    protoc(
        f"--python_out={work}",
        f"--grpc_python_out={work}",
        f"--plugin=protoc-gen-mypy={SCRIPTS / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={SCRIPTS / 'protoc-gen-mypy_grpc'}",
        f"--mypy_out=quiet:{work}",
        f"--mypy_grpc_out=quiet:{work}",
    )
    made = sorted((work / "segel/v1").iterdir())
    with_services = {path.name.removesuffix("_pb2_grpc.pyi") for path in made if "Stub:" in path.read_text()}
    # protoc writes a _grpc file for every proto; those without a service say nothing.
    return [path for path in made if "_grpc" not in path.name or path.name.split("_pb2")[0] in with_services]


def differing(made: list[Path]) -> list[str]:
    old = {path.name for path in STUBS.glob("*_pb2*")}
    new = {path.name for path in made}
    changed = {
        path.name
        for path in made
        if path.name in old and not filecmp.cmp(path, STUBS / path.name, shallow=False)
    }
    return sorted((old ^ new) | changed)


if __name__ == "__main__":
    sys.exit(main())
