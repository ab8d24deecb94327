"""What a configuration becomes, and that every fault is named with its key."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld import config
from segeld.config.schema import Config, Limits, PinDescriptor, PinFile, PinPad, PinPrompt, Timeouts
from segeld.config.strict import build


def faults(path):
    return {problem.key: problem.text for problem in config.check(path)}


def test_a_minimal_configuration_is_filled_with_defaults(write, folder):
    loaded = config.load(write())
    token = loaded.tokens["payroll"]
    assert (token.workers, token.sessions, token.pin, token.timeouts) == (2, 1, PinPrompt(), Timeouts())
    assert token.pin.source == "prompt"
    assert loaded.limits == Limits()
    assert loaded.officer_tls == loaded.listen.tls
    assert loaded.officer_socket == folder / "run" / "officer.sock"
    assert loaded.metrics is None
    assert not loaded.reflects


def test_relative_paths_are_taken_from_the_files_own_folder(write, folder, monkeypatch, tmp_path_factory):
    path = write()
    monkeypatch.chdir(folder.parent)
    loaded = config.load(Path(folder.name) / path.name)
    assert loaded.state_dir == folder / "state"
    assert loaded.policy == folder / "policy.toml"
    assert loaded.listen.tls.key == folder / "server.key"
    assert loaded.modules["vendor"].path == folder / "vendor.so"


def test_a_loaded_configuration_cannot_be_changed(write):
    with pytest.raises(AttributeError):
        config.load(write()).dev = True


def test_every_fault_is_found_at_once_and_named_with_its_key(write, minimal):
    text = (
        minimal.replace('label = "Payroll"', 'label = 7\nworkers = 0\npin = { source = "guess" }\nworker = 3')
        + """
[tokens.other]
pin = { source = "file" }
timeouts = { start = "soon" }
[limits]
max_batch = 5000
grace = -1
max_job_items = 0
jobs_per_caller = 1000001
job_items_per_caller = 1.5
open_job_lifetime = 0
job_deadline = 2592001
results_retention = 31536001
answers_retention = "a day"
max_watches = 0
max_watches_per_caller = true
[log]
format = "xml"
[unheard]
"""
    )
    assert faults(write(text)) == {
        "limits.grace": "a number > 0.0 is wanted",
        "limits.max_batch": "a whole number <= 1024 is wanted",
        "limits.max_job_items": "a whole number >= 1 is wanted",
        "limits.jobs_per_caller": "a whole number <= 1000000 is wanted",
        "limits.job_items_per_caller": "a whole number is wanted, not one with a decimal point",
        "limits.open_job_lifetime": "a number > 0.0 is wanted",
        "limits.job_deadline": "a number <= 2592000.0 is wanted",
        "limits.results_retention": "a number <= 31536000.0 is wanted",
        "limits.answers_retention": "a number is wanted, not text",
        "limits.max_watches": "a whole number >= 1 is wanted",
        "limits.max_watches_per_caller": "a whole number is wanted, not true or false",
        "log.format": "'xml' is not known; there are console, json",
        "tokens.other.module": "is required",
        "tokens.other.pin.path": "is required",
        "tokens.other.timeouts.start": "a number is wanted, not text",
        "tokens.payroll.label": "text in quotes is wanted, not a number",
        "tokens.payroll.pin": "source is one of credential, descriptor, file, pad, prompt",
        "tokens.payroll.worker": "is not known; is workers meant?",
        "tokens.payroll.workers": "a whole number >= 1 is wanted",
        "unheard": "is not known; there are listen, modules, tokens, state_dir, runtime_dir, policy, officers, metrics, "
        "notify, audit, certificates, log, limits, reflection, dev",
    }


def test_load_raises_what_check_finds(write):
    path = write(**{'module = "vendor"': 'module = "x"'})
    with pytest.raises(config.ConfigError) as caught:
        config.load(path)
    assert list(caught.value.problems) == config.check(path)
    assert str(caught.value).startswith("tokens.payroll.module: ")


@pytest.mark.parametrize(
    ("pin", "wanted"),
    [
        ('{ source = "prompt" }', PinPrompt()),
        ('{ source = "pad" }', PinPad()),
        ('{ source = "descriptor", number = 3 }', PinDescriptor(number=3)),
        ('{ source = "file", path = "pin" }', PinFile(path=Path("pin"))),
    ],
)
def test_a_pin_comes_from_one_of_its_sources(write, folder, minimal, pin, wanted):
    (folder / "pin").touch(mode=0o600)
    folder.chmod(0o755)
    loaded = config.load(write(minimal + f"workers = 1\npin = {pin}\n"))
    if isinstance(wanted, PinFile):
        wanted = msgspec.structs.replace(wanted, path=folder / "pin")
    assert loaded.tokens["payroll"].pin == wanted


@pytest.mark.parametrize("text", ["[listen", "\xff", "a = 1\na = 2"])
def test_what_is_no_toml_is_one_problem(folder, text):
    path = folder / "segeld.toml"
    path.write_bytes(text.encode("latin-1"))
    (problem,) = config.check(path)
    assert (problem.key, "is not TOML" in problem.text) == ("", True)


def test_a_file_that_is_not_there_is_one_problem(folder):
    (problem,) = config.check(folder / "missing.toml")
    assert "cannot be read" in problem.text


@pytest.mark.parametrize("text", ["listen = 3", "listen = []", "modules = 1", "tokens = { payroll = 1 }"])
def test_a_value_where_a_table_belongs_is_a_fault(write, text):
    assert any(
        "is a table" in fault or "a table is wanted" in fault for fault in faults(write(text)).values()
    )


words = st.text("abcXYZ019_-.", min_size=1, max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text('aZ0/:. \0\n"äé€', max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
)
KEYS = [
    "listen",
    "modules",
    "tokens",
    "limits",
    "officers",
    "metrics",
    "log",
    "policy",
    "tls",
    "pin",
    "source",
]


@given(st.dictionaries(st.sampled_from(KEYS) | words, values, max_size=6))
def test_whatever_a_document_holds_it_is_a_config_or_problems(document):
    built, problems = build(Config, document, Path("/folder"))
    assert (built is None) == bool(problems)
