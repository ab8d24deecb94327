"""The CKR behind an exception of python-pkcs11, which keeps no numbers."""

import re
from collections.abc import Mapping
from typing import Final

from pkcs11 import exceptions

from segeld.worker.ckr import Ckr

_UNMAPPED: Final = re.compile(r"Unmapped error code (0x[0-9a-f]+)")

CODES: Final[Mapping[type[exceptions.PKCS11Error], Ckr]] = {
    exceptions.AnotherUserAlreadyLoggedIn: Ckr.USER_ANOTHER_ALREADY_LOGGED_IN,
    exceptions.AttributeTypeInvalid: Ckr.ATTRIBUTE_TYPE_INVALID,
    exceptions.AttributeValueInvalid: Ckr.ATTRIBUTE_VALUE_INVALID,
    exceptions.AttributeReadOnly: Ckr.ATTRIBUTE_READ_ONLY,
    exceptions.AttributeSensitive: Ckr.ATTRIBUTE_SENSITIVE,
    exceptions.ArgumentsBad: Ckr.ARGUMENTS_BAD,
    exceptions.DataInvalid: Ckr.DATA_INVALID,
    exceptions.DataLenRange: Ckr.DATA_LEN_RANGE,
    exceptions.DomainParamsInvalid: Ckr.DOMAIN_PARAMS_INVALID,
    exceptions.DeviceError: Ckr.DEVICE_ERROR,
    exceptions.DeviceMemory: Ckr.DEVICE_MEMORY,
    exceptions.DeviceRemoved: Ckr.DEVICE_REMOVED,
    exceptions.EncryptedDataInvalid: Ckr.ENCRYPTED_DATA_INVALID,
    exceptions.EncryptedDataLenRange: Ckr.ENCRYPTED_DATA_LEN_RANGE,
    exceptions.ExceededMaxIterations: Ckr.EXCEEDED_MAX_ITERATIONS,
    exceptions.FunctionCancelled: Ckr.FUNCTION_CANCELED,
    exceptions.FunctionFailed: Ckr.FUNCTION_FAILED,
    exceptions.FunctionRejected: Ckr.FUNCTION_REJECTED,
    exceptions.FunctionNotSupported: Ckr.FUNCTION_NOT_SUPPORTED,
    exceptions.KeyHandleInvalid: Ckr.KEY_HANDLE_INVALID,
    exceptions.KeyIndigestible: Ckr.KEY_INDIGESTIBLE,
    exceptions.KeyNeeded: Ckr.KEY_NEEDED,
    exceptions.KeyNotNeeded: Ckr.KEY_NOT_NEEDED,
    exceptions.KeyNotWrappable: Ckr.KEY_NOT_WRAPPABLE,
    exceptions.KeySizeRange: Ckr.KEY_SIZE_RANGE,
    exceptions.KeyTypeInconsistent: Ckr.KEY_TYPE_INCONSISTENT,
    exceptions.KeyUnextractable: Ckr.KEY_UNEXTRACTABLE,
    exceptions.GeneralError: Ckr.GENERAL_ERROR,
    exceptions.HostMemory: Ckr.HOST_MEMORY,
    exceptions.MechanismInvalid: Ckr.MECHANISM_INVALID,
    exceptions.MechanismParamInvalid: Ckr.MECHANISM_PARAM_INVALID,
    exceptions.NoEvent: Ckr.NO_EVENT,
    exceptions.ObjectHandleInvalid: Ckr.OBJECT_HANDLE_INVALID,
    exceptions.OperationActive: Ckr.OPERATION_ACTIVE,
    exceptions.OperationNotInitialized: Ckr.OPERATION_NOT_INITIALIZED,
    exceptions.PinExpired: Ckr.PIN_EXPIRED,
    exceptions.PinIncorrect: Ckr.PIN_INCORRECT,
    exceptions.PinInvalid: Ckr.PIN_INVALID,
    exceptions.PinLenRange: Ckr.PIN_LEN_RANGE,
    exceptions.PinLocked: Ckr.PIN_LOCKED,
    exceptions.PinTooWeak: Ckr.PIN_TOO_WEAK,
    exceptions.PublicKeyInvalid: Ckr.PUBLIC_KEY_INVALID,
    exceptions.RandomNoRNG: Ckr.RANDOM_NO_RNG,
    exceptions.RandomSeedNotSupported: Ckr.RANDOM_SEED_NOT_SUPPORTED,
    exceptions.SessionClosed: Ckr.SESSION_CLOSED,
    exceptions.SessionCount: Ckr.SESSION_COUNT,
    exceptions.SessionExists: Ckr.SESSION_EXISTS,
    exceptions.SessionHandleInvalid: Ckr.SESSION_HANDLE_INVALID,
    exceptions.SessionReadOnly: Ckr.SESSION_READ_ONLY,
    exceptions.SessionReadOnlyExists: Ckr.SESSION_READ_ONLY_EXISTS,
    exceptions.SessionReadWriteSOExists: Ckr.SESSION_READ_WRITE_SO_EXISTS,
    exceptions.SignatureLenRange: Ckr.SIGNATURE_LEN_RANGE,
    exceptions.SignatureInvalid: Ckr.SIGNATURE_INVALID,
    exceptions.SlotIDInvalid: Ckr.SLOT_ID_INVALID,
    exceptions.TemplateIncomplete: Ckr.TEMPLATE_INCOMPLETE,
    exceptions.TemplateInconsistent: Ckr.TEMPLATE_INCONSISTENT,
    exceptions.TokenNotPresent: Ckr.TOKEN_NOT_PRESENT,
    exceptions.TokenNotRecognised: Ckr.TOKEN_NOT_RECOGNIZED,
    exceptions.TokenWriteProtected: Ckr.TOKEN_WRITE_PROTECTED,
    exceptions.UnwrappingKeyHandleInvalid: Ckr.UNWRAPPING_KEY_HANDLE_INVALID,
    exceptions.UnwrappingKeySizeRange: Ckr.UNWRAPPING_KEY_SIZE_RANGE,
    exceptions.UnwrappingKeyTypeInconsistent: Ckr.UNWRAPPING_KEY_TYPE_INCONSISTENT,
    exceptions.UserAlreadyLoggedIn: Ckr.USER_ALREADY_LOGGED_IN,
    exceptions.UserNotLoggedIn: Ckr.USER_NOT_LOGGED_IN,
    exceptions.UserPinNotInitialized: Ckr.USER_PIN_NOT_INITIALIZED,
    exceptions.UserTooManyTypes: Ckr.USER_TOO_MANY_TYPES,
    exceptions.WrappedKeyInvalid: Ckr.WRAPPED_KEY_INVALID,
    exceptions.WrappedKeyLenRange: Ckr.WRAPPED_KEY_LEN_RANGE,
    exceptions.WrappingKeyHandleInvalid: Ckr.WRAPPING_KEY_HANDLE_INVALID,
    exceptions.WrappingKeySizeRange: Ckr.WRAPPING_KEY_SIZE_RANGE,
    exceptions.WrappingKeyTypeInconsistent: Ckr.WRAPPING_KEY_TYPE_INCONSISTENT,
}

WITHOUT_CODE: Final = frozenset(
    {
        exceptions.MultipleObjectsReturned,
        exceptions.MultipleTokensReturned,
        exceptions.NoSuchKey,
        exceptions.NoSuchToken,
    }
)
"""Raised by python-pkcs11's own searches, which the worker does not use."""


def ckr_of(error: exceptions.PKCS11Error) -> int:
    """The code that made it; CKR_GENERAL_ERROR if that cannot be told."""
    if (code := CODES.get(type(error))) is not None:
        return code
    found = _UNMAPPED.search(str(error))
    return int(found[1], 16) if found else Ckr.GENERAL_ERROR
