"""A token's state follows from its PIN and its workers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld.model.token_state import PinState, Stage, TokenState, WorkerStatus, decide

DOWN, LOADING, WAITING, READY = (WorkerStatus(stage) for stage in Stage)
LOST = WorkerStatus(Stage.DOWN, trouble="Its worker was lost.")
GONE = WorkerStatus(Stage.DOWN, absent=True, trouble="No slot holds it.")


@pytest.mark.parametrize(
    ("pin", "workers", "was_active", "state"),
    [
        (PinState.MISSING, [DOWN, DOWN], False, TokenState.INACTIVE),
        (PinState.HELD, [DOWN, DOWN], False, TokenState.STARTING),
        (PinState.MISSING, [WAITING, LOADING], False, TokenState.INACTIVE),
        (PinState.MISSING, [GONE, GONE], False, TokenState.ABSENT),
        (PinState.MISSING, [LOST, LOST], False, TokenState.FAILED),
        (PinState.HELD, [WAITING, LOADING], False, TokenState.STARTING),
        (PinState.HELD, [READY, LOST], True, TokenState.ACTIVE),
        (PinState.HELD, [LOST, LOADING], True, TokenState.RECOVERING),
        (PinState.HELD, [GONE, LOST], True, TokenState.ABSENT),
        (PinState.REFUSED, [WAITING, WAITING], False, TokenState.LOCKED),
        (PinState.REFUSED, [READY, LOST], True, TokenState.ACTIVE),
    ],
)
def test_states(pin, workers, was_active, state) -> None:
    assert decide(pin, workers, was_active=was_active, quarantined=False)[0] is state


@given(
    st.sampled_from(PinState),
    st.lists(
        st.builds(WorkerStatus, st.sampled_from(Stage), st.booleans(), st.sampled_from(["", "why"])),
        min_size=1,
    ),
    st.booleans(),
    st.booleans(),
)
def test_it_is_active_only_with_a_ready_worker_and_never_in_quarantine(
    pin, workers, was_active, quarantined
) -> None:
    state, reason = decide(pin, workers, was_active=was_active, quarantined=quarantined)
    ready = any(worker.stage is Stage.READY for worker in workers)
    assert (state is TokenState.ACTIVE) == (ready and not quarantined)
    assert (state is TokenState.QUARANTINED) == quarantined
    assert bool(reason) or state in {TokenState.ACTIVE, TokenState.ABSENT}


def test_before_it_was_ever_seen_it_is_starting() -> None:
    state, _ = decide(PinState.MISSING, [DOWN, LOADING], was_active=False, quarantined=False, seen=False)
    assert state is TokenState.STARTING
