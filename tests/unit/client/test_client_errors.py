"""The tree of errors: total over the wire's reasons, and readable."""

import copy
import inspect
import pickle

import pytest
from google.rpc import status_pb2

from segel import _status, errors
from segel.v1 import errors_pb2

CLASSES = [
    one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.SegelError)
]


def test_every_reason_of_the_wire_has_a_class():
    wire = {name.removeprefix("REASON_") for name in dict(errors_pb2.Reason.items())} - {"UNSPECIFIED"}
    assert set(errors.CLASS_OF_REASON) == wire


def test_every_class_says_what_to_do_and_stands_in_the_drawing():
    for one in CLASSES:
        assert one.__doc__
        assert one.advice
        assert one.__name__ in errors.__doc__


def test_the_drawing_is_the_tree():
    """Depth in the drawing is depth in the tree, and every class hangs on the one above it."""
    above = {}
    for line in errors.__doc__.splitlines():
        name = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ").split()
        if not name or not hasattr(errors, name[0]):
            continue
        depth = (line.index(name[0]) - 4) // 4
        above[depth] = getattr(errors, name[0])
        if depth:
            assert above[depth].__base__ is above[depth - 1]
    assert len(above) == 3


@pytest.mark.parametrize("reason", sorted(errors.CLASS_OF_REASON))
def test_a_status_becomes_the_class_of_its_reason(status, reason):
    error = _status.from_status(status("UNAVAILABLE", reason, "It failed", retry_after=1.5, token="tokens/a"))
    assert type(error) is errors.CLASS_OF_REASON[reason]
    assert (error.reason, error.code, error.text) == (reason, "UNAVAILABLE", "It failed")
    assert error.facts == {"token": "tokens/a"}
    assert error.retry_after == pytest.approx(1.5)
    assert str(error) == f"It failed. {error.advice}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such key", "No such key. List your keys, or ask an officer for a grant."),
        ("no such key; list them", "No such key; list them."),
        ("No such key. List them.", "No such key. List them."),
    ],
)
def test_the_daemons_own_advice_is_enough(status, text, shown):
    assert str(_status.from_status(status("NOT_FOUND", "KEY_NOT_FOUND", text))) == shown


def test_a_reason_of_a_newer_daemon_falls_back_to_its_code(status):
    error = _status.from_status(status("PERMISSION_DENIED", "MOON_PHASE"))
    assert type(error) is errors.NotAllowed
    assert error.reason == "MOON_PHASE"
    assert type(_status.from_status(status("UNIMPLEMENTED", "MOON_PHASE"))) is errors.DaemonError


def test_another_domains_reason_is_not_ours(status):
    foreign = status("NOT_FOUND", "KEY_NOT_FOUND")
    foreign.details[0].value = foreign.details[0].value.replace(b"segel", b"other")
    error = _status.from_status(foreign)
    assert type(error) is errors.NotFound
    assert error.reason == "NOT_FOUND"


def test_a_status_without_anything_is_still_an_error():
    error = _status.from_status(status_pb2.Status(code=99))
    assert (error.code, type(error)) == ("UNKNOWN", errors.DaemonError)
    assert error.text


def test_details_say_request_id_and_field(status):
    from google.protobuf import any_pb2
    from google.rpc import error_details_pb2

    said = status("INVALID_ARGUMENT", "FIELD_INVALID")
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="inputs[3].digest")
    for detail in (error_details_pb2.RequestInfo(request_id="r-1"), bad):
        packed = any_pb2.Any()
        packed.Pack(detail)
        said.details.append(packed)
    error = _status.from_status(said)
    assert error.request_id == "r-1"
    assert error.facts["field"] == "inputs[3].digest"


@pytest.mark.parametrize("kind", CLASSES)
def test_errors_survive_copies_and_pickles(kind):
    error = kind("It failed", reason="X", code="Y", facts={"a": "b"}, retry_after=2.0, request_id="r")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is kind
        assert vars(other) == vars(error)
        assert str(other) == str(error)
        assert repr(other) == f"{kind.__name__}(X, 'It failed')"


def test_a_name_at_the_beginning_is_not_a_word():
    error = errors.SettingsInvalid("x (its private key) does not exist", reason="X", facts={"file": "x"})
    assert str(error).startswith("x (its")
