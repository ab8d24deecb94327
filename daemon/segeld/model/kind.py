"""What inputs must have in common to be signed together."""

from dataclasses import dataclass

from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.names import KeyName


@dataclass(frozen=True, slots=True)
class Kind:
    """One key, and one way to sign with it."""

    key: KeyName
    algorithm: Algorithm
    encoding: EcdsaEncoding
    uncertified: bool = False
    """An officer's request for a certificate: the key signs it whatever becomes of its certificate."""
