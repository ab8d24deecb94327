"""The words of the model are those of the protos: names, numbers, and none missing on either side."""

from segel.v1 import errors_pb2, resources_pb2
from segeld.model.algorithm import Algorithm, EcdsaEncoding, KeyKind, algorithms_for
from segeld.model.faults import Reason
from segeld.model.token_state import TokenState


def words(enum, prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): number for name, number in enum.items() if number}


def test_reasons_are_those_of_the_proto() -> None:
    assert {reason.value for reason in Reason} == set(words(errors_pb2.Reason, "REASON_"))


def test_algorithms_are_those_of_the_proto() -> None:
    assert {a.name: a.number for a in Algorithm} == words(
        resources_pb2.SignatureAlgorithm, "SIGNATURE_ALGORITHM_"
    )


def test_encodings_are_those_of_the_proto() -> None:
    assert {e.name for e in EcdsaEncoding} == set(words(resources_pb2.EcdsaEncoding, "ECDSA_ENCODING_"))


def test_token_states_are_those_of_the_proto() -> None:
    assert {state.value for state in TokenState} == set(words(resources_pb2.Token.State, "STATE_"))


def test_every_kind_of_key_has_a_default_algorithm_and_every_algorithm_a_kind() -> None:
    assert all(algorithms_for(kind) for kind in KeyKind)
    assert all(algorithm.key_kinds for algorithm in Algorithm)


def test_only_exact_digests_are_accepted() -> None:
    for algorithm in Algorithm:
        if algorithm.digest_size is not None:
            accepted = [size for size in range(600) if algorithm.accepts(bytes(size))]
            assert accepted == [algorithm.digest_size]
    assert Algorithm.ED25519.accepts(bytes(65_536))
    assert not Algorithm.ED25519.accepts(bytes(65_537))
