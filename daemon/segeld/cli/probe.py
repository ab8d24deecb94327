"""`segeld probe MODULE`: what a module says of itself, from a process of its own."""

import asyncio
import os
from pathlib import Path

import msgspec
import typer

from segeld.config.schema import Module
from segeld.ipc.worker_wire import Loaded, SlotInfo
from segeld.supervisor.survey import survey_module


def run(path: Path, *, reserved: str | None, as_json: bool) -> int:
    # An operator probes with the module's own variables set (SOFTHSM2_CONF, ChrystokiConfigurationPath, …).
    module = Module(path=path.absolute(), reserved=reserved, environment=dict(os.environ))
    answer = asyncio.run(survey_module(module))
    if isinstance(answer, str):
        typer.echo(f"segeld probe: {path}: {answer}", err=True)
        return 1
    loaded, slots = answer
    if as_json:
        typer.echo(msgspec.json.encode({"module": str(path), "loaded": loaded, "slots": slots}).decode())
        return 0
    _print_module(path, loaded)
    for slot in slots:
        _print_slot(slot)
    _print_configuration(module, slots)
    return 0


def _print_module(path: Path, loaded: Loaded) -> None:
    typer.echo(f"{path}: {loaded.description} {loaded.library_version}, by {loaded.manufacturer}")
    typer.echo(f"  PKCS#11 {loaded.cryptoki_version}")
    typer.echo(
        "  locking: yes (CKF_OS_LOCKING_OK was taken): sessions in one worker may sign at once"
        if loaded.locking
        else "  locking: no (CKR_CANT_LOCK): one session in each worker; use more workers"
    )


def _print_slot(slot: SlotInfo) -> None:
    typer.echo(f"slot {slot.slot_id}: {slot.description} ({slot.manufacturer})")
    if slot.trouble:
        typer.echo(f"  could not be read: {slot.trouble}")
    token = slot.token
    if token is None:
        typer.echo("  no token")
        return
    typer.echo(f"  token label {token.label!r}, serial {token.serial!r}, {token.manufacturer} {token.model}")
    typer.echo(
        f"  PIN of {token.min_pin} to {token.max_pin} characters; flags: {' '.join(token.flags) or 'none'}"
    )
    typer.echo(f"  signs with: {' '.join(slot.mechanisms) or 'nothing that segel uses'}")


def _print_configuration(module: Module, slots: tuple[SlotInfo, ...]) -> None:
    tokens = [
        slot.token for slot in slots if slot.token is not None and "CKF_TOKEN_INITIALIZED" in slot.token.flags
    ]
    if not tokens:
        typer.echo("\nNo initialised token is in any slot: there is nothing to configure yet.")
        return
    labels = [token.label for token in tokens]
    typer.echo("\n# For segeld.toml:")
    typer.echo(f"[modules.hsm]\npath = {_quoted(str(module.path))}")
    if module.reserved is not None:
        typer.echo(f"reserved = {_quoted(module.reserved)}")
    if "SOFTHSM2_CONF" in module.environment:
        typer.echo(f"environment = {{ SOFTHSM2_CONF = {_quoted(module.environment['SOFTHSM2_CONF'])} }}")
    for number, token in enumerate(tokens, 1):
        typer.echo(f'\n[tokens.token-{number}]\nmodule = "hsm"\nlabel = {_quoted(token.label)}')
        if token.serial:
            comment = "" if labels.count(token.label) > 1 else "  # the label alone would do"
            typer.echo(f"serial = {_quoted(token.serial)}{comment}")
        typer.echo('pin = { source = "prompt" }')


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's."""
    return msgspec.json.encode(text).decode()
