"""The fault table is total, and says the same for a number and for python-pkcs11's exception of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import exceptions

from segeld.ipc.worker_wire import Remedy
from segeld.model.faults import Reason
from segeld.worker import faults
from segeld.worker.ckr import Ckr
from segeld.worker.failure import Failure
from segeld.worker.pkcs11_errors import CODES, WITHOUT_CODE, ckr_of

EXCEPTIONS = {
    value
    for value in vars(exceptions).values()
    if isinstance(value, type)
    and issubclass(value, exceptions.PKCS11Error)
    and value is not exceptions.PKCS11Error
}


@given(st.integers(1, 2**64 - 1))
def test_every_number_has_a_verdict(ckr: int) -> None:
    assert isinstance(faults.verdict(ckr), faults.Verdict)


@pytest.mark.parametrize("ckr", [0x80000001, 0xCE53436A, 0x7FFF, Ckr.ATTRIBUTE_VALUE_INVALID])
def test_what_is_not_listed_is_of_unknown_effect(ckr: int) -> None:
    assert faults.verdict(ckr) == (Reason.DEVICE_ERROR, Remedy.REPLACE, False)


def test_the_codes_after_which_a_signature_may_exist() -> None:
    """Everything else was decided by the module before it signed."""
    uncertain = {ckr for ckr in faults.VERDICTS if not faults.VERDICTS[ckr].certain}
    assert uncertain == {
        Ckr.GENERAL_ERROR,
        Ckr.FUNCTION_FAILED,
        Ckr.DEVICE_ERROR,
        Ckr.DEVICE_REMOVED,
        Ckr.SESSION_CLOSED,
    }


def test_a_pin_is_never_a_matter_of_trying_again() -> None:
    for ckr in Ckr:
        if ckr.name.startswith("PIN_") and ckr in faults.VERDICTS:
            assert faults.verdict(ckr).remedy is Remedy.LOCK, ckr.name


def test_a_token_that_is_gone_is_looked_for() -> None:
    for ckr in (Ckr.TOKEN_NOT_PRESENT, Ckr.DEVICE_REMOVED, Ckr.SLOT_ID_INVALID, Ckr.TOKEN_NOT_RECOGNIZED):
        assert faults.verdict(ckr).remedy is Remedy.ABSENT


def test_every_exception_of_the_binding_has_a_code() -> None:
    assert CODES.keys() | WITHOUT_CODE == EXCEPTIONS
    assert not CODES.keys() & WITHOUT_CODE
    assert len(set(CODES.values())) == len(CODES)


@pytest.mark.parametrize("kind", sorted(EXCEPTIONS, key=lambda kind: kind.__name__))
def test_an_exception_becomes_a_failure_with_its_verdict(kind: type[exceptions.PKCS11Error]) -> None:
    failure = Failure.raised(kind(), "C_OpenSession")
    verdict = faults.verdict(failure.ckr)
    assert (failure.reason, failure.remedy) == (verdict.reason, verdict.remedy)
    assert failure.text.startswith("C_OpenSession: ")


def test_a_code_that_the_binding_only_writes_is_read() -> None:
    assert ckr_of(exceptions.PKCS11Error("Unmapped error code 0x80000005")) == 0x80000005
    assert ckr_of(exceptions.PKCS11Error("something else")) == Ckr.GENERAL_ERROR


def test_names_are_those_of_the_standard() -> None:
    assert faults.name(0xA4) == "CKR_PIN_LOCKED (0xa4)"
    assert faults.name(0x80000001) == "CKR 0x80000001"
