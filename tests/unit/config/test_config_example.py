"""The example is the manual: it names every option, and what it calls a default is one."""

import itertools
import re
import tomllib
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest
from msgspec import inspect

from segeld.config import schema
from segeld.config.schema import Config
from segeld.config.strict import build

EXAMPLE = Path(__file__).parents[3] / "daemon" / "segeld.example.toml"
FOLDER = Path("/etc/segel")
OPTION = re.compile(r"# ((?:\w+ = .+)|(?:\[[\w.]+\]))")
NO_DEFAULT = {
    "officers.address",
    "officers.tls",
    "modules.vendor.reserved",
    "tokens.payroll.flags_trusted",
    "tokens.payroll.serial",
}
"""Options that are off when left out: what stands in the example is an example."""
ELSEWHERE = {"officers.socket": "officer_socket", "modules.vendor.environment": None, "metrics": None}
"""Options whose default depends on others, or whose example is one."""


def uncommented():
    """The example with every commented option made active."""
    return tomllib.loads("\n".join(OPTION.sub(r"\1", line) for line in EXAMPLE.read_text().splitlines()))


def load(document):
    built, problems = build(Config, document, FOLDER)
    assert problems == []
    return built


def leaves(table, at=""):
    for name, value in table.items():
        key = f"{at}.{name}".lstrip(".")
        yield key
        if isinstance(value, dict) and key not in {"tokens.payroll.pin", "modules.vendor.environment"}:
            yield from leaves(value, key)


def value_at(config, key):
    for word in key.split("."):
        config = config[word] if isinstance(config, dict) else getattr(config, word)
    return config


def test_the_example_as_it_stands_is_complete():
    load(tomllib.loads(EXAMPLE.read_text()) | {"policy": "policy.toml"})


def test_every_default_in_the_example_is_the_default():
    active = tomllib.loads(EXAMPLE.read_text()) | {"policy": "policy.toml"}
    plain, full = load(active), load(uncommented())
    required = set(leaves(active)) - {"policy"}
    for key in leaves(uncommented()):
        if (
            key in required
            or key in NO_DEFAULT
            or key.startswith(("officers.tls", "metrics", "notify", "audit"))
        ):
            continue
        if key in ELSEWHERE:
            continue
        assert value_at(plain, key) == value_at(full, key), key
    assert full.officer_socket == plain.officer_socket
    assert full.metrics == schema.Metrics()
    assert plain.metrics is None
    assert plain.tokens["payroll"].pin == full.tokens["payroll"].pin == schema.PinPrompt()


def test_no_option_is_missing_from_the_example():
    document = uncommented()
    document["modules"]["NAME"] = document["modules"].pop("vendor")
    document["tokens"]["NAME"] = document["tokens"].pop("payroll")
    assert set(options(Config)) - {"officers.tls.certificate"} <= set(leaves(document)) | {"tokens.NAME.pin"}


def options(kind, at=""):
    """Every option of a struct and of those below it, maps under NAME."""
    for field in inspect.type_info(kind).fields:
        key = f"{at}.{field.name}".lstrip(".")
        yield key
        inner = field.type
        if isinstance(inner, inspect.DictType) and isinstance(inner.value_type, inspect.StructType):
            inner, key = inner.value_type, f"{key}.NAME"
        if isinstance(inner, inspect.StructType):
            yield from options(inner.cls, key)


@pytest.mark.parametrize(
    "source", [schema.PinPrompt, schema.PinFile, schema.PinCredential, schema.PinDescriptor, schema.PinPad]
)
def test_every_pin_source_is_explained(source):
    assert f'{{ source = "{source.__struct_config__.tag}"' in EXAMPLE.read_text()


def test_every_option_has_a_comment_above_it():
    lines = EXAMPLE.read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if OPTION.match(line) and not OPTION.match(before):
            assert before == "" or before.startswith("# ") or "=" in before, line


def test_hints_of_every_struct_resolve():
    """`get_type_hints` is what names the type at fault; it must work on each of them."""
    for value in vars(schema).values():
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            assert get_type_hints(value, include_extras=True) is not None
