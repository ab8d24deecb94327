"""Asks a module for its slots, in a process that ends afterwards."""

from segeld.config.schema import Module
from segeld.ipc.worker_wire import Loaded, SlotInfo
from segeld.supervisor.worker_handle import WorkerFailed, WorkerHandle, WorkerLost

_PATIENCE = 30.0
"""Seconds for the module to load, and again for its answer: smart card readers take their time."""


async def survey_module(module: Module) -> tuple[Loaded, tuple[SlotInfo, ...]] | str:
    """What the module says of itself and of its slots; or one sentence why it could not be asked."""
    try:
        worker = await WorkerHandle.start(module.environment)
    except OSError as error:
        return f"No process could be started: {error.strerror}."
    try:
        loaded = await worker.load(str(module.path), module.reserved, _PATIENCE)
        return loaded, (await worker.survey(_PATIENCE)).slots
    except WorkerFailed as failed:
        return failed.text
    except WorkerLost as lost:
        return f"The module did not answer: {lost}."
    finally:
        await worker.close()
