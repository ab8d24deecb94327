"""A real keeper process reads PINs from files that are safe, and from descriptors."""

import os

import pytest
from keeper_rig import SERIAL, TOKEN, pin_file

from segeld.model.faults import Fault, Reason
from segeld.supervisor.keeper_handle import KeeperHandle


async def test_a_pin_file_is_read_by_the_keeper(keeper, borrow, tmp_path) -> None:
    await keeper.hold_file(TOKEN, str(pin_file(tmp_path, b"123456\n")), SERIAL, by_officer=False)
    worker = await borrow()
    assert await worker.receive() == (b"123456", False)


@pytest.mark.parametrize(
    ("content", "mode", "reason", "text"),
    [
        (b"123456", 0o640, Reason.FIELD_INVALID, "mode 0640.*chmod 600"),
        (b"123456", 0o604, Reason.FIELD_INVALID, "mode 0604"),
        (b"", 0o600, Reason.PIN_LENGTH, "no usable PIN"),
    ],
)
async def test_an_unsafe_or_empty_pin_file_is_refused(keeper, tmp_path, content, mode, reason, text) -> None:
    with pytest.raises(Fault, match=text) as refused:
        await keeper.hold_file(TOKEN, str(pin_file(tmp_path, content, mode)), SERIAL, by_officer=False)
    assert refused.value.reason is reason
    assert "123456" not in refused.value.text


async def test_a_missing_pin_file_and_a_link_are_refused(keeper, tmp_path, missing) -> None:
    with pytest.raises(Fault, match="No such file"):
        await keeper.hold_file(TOKEN, str(missing), SERIAL, by_officer=False)
    link = tmp_path / "link"
    link.symlink_to(pin_file(tmp_path, b"123456"))
    with pytest.raises(Fault, match="cannot be read"):
        await keeper.hold_file(TOKEN, str(link), SERIAL, by_officer=False)


async def test_a_descriptor_is_read_once(tmp_path, guard) -> None:
    descriptor = os.open(pin_file(tmp_path, b"123456\n"), os.O_RDONLY)
    keeper = await KeeperHandle.start(guard, [descriptor])
    os.close(descriptor)
    try:
        await keeper.hold_descriptor(TOKEN, descriptor, SERIAL, by_officer=False)
        with pytest.raises(Fault, match="was read before"):
            await keeper.hold_descriptor(TOKEN, descriptor, SERIAL, by_officer=False)
    finally:
        await keeper.close()
