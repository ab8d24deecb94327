"""`segeld check-config FILE`: every fault by its key; then, unless told not to, whether modules and tokens are there."""

import asyncio
from pathlib import Path

import msgspec
import typer

from segeld import config, policy
from segeld.audit.identity import FOLDER, exposed
from segeld.config import Config, Problem
from segeld.model.blank_tokens import way_out
from segeld.model.names import TokenName
from segeld.supervisor.choosing import INITIALIZED
from segeld.supervisor.guard import FILE, trouble
from segeld.supervisor.survey import survey_module


def run(file: Path, *, offline: bool, as_json: bool) -> int:
    found = [(file, problem) for problem in config.check(file)]
    rules = config.policy_path(file)
    if rules is not None and rules.is_file():
        found += [(rules, problem) for problem in _check_policy(rules)]
    if not found and not offline:
        found += [(file, problem) for problem in asyncio.run(_look_at_devices(config.load(file)))]
    if as_json:
        shown = [{"file": str(where), "key": problem.key, "text": problem.text} for where, problem in found]
        typer.echo(msgspec.json.encode(shown).decode())
    elif found:
        for where, problem in found:
            typer.echo(f"{where}: {problem}", err=True)
    else:
        typer.echo(f"{file}: no faults found")
        typer.echo(
            "Note: workers run as the daemon's own user; they have no user of their own, and no Landlock."
        )
        guard = config.load(file).state_dir / FILE
        if (why := trouble(guard, map(TokenName, sorted(config.load(file).tokens)))) is not None:
            typer.echo(
                f"Note: {why}: no such token is logged in by itself until an officer has activated it by hand."
            )
        if config.load(file).audit.witness is None:
            typer.echo(
                "Note: there is no [audit.witness]: if database and audit log are both put back to an older state, nobody "
                "notices."
            )
        for path in exposed(config.load(file).state_dir / FOLDER):
            typer.echo(f"Note: others can read {path}, and should not: chmod 600 {path}")
        if config.load(file).dev:
            typer.echo("Note: dev = true: it is for `segeld dev`, and `segeld serve` refuses it.")
    return 3 if found else 0


def _check_policy(rules: Path) -> list[Problem]:
    """What would keep it from being put in force."""
    try:
        return policy.staffing(policy.load(rules))
    except policy.PolicyError as error:
        return list(error.problems)


async def _look_at_devices(loaded: Config) -> list[Problem]:
    """Loads each module in a process of its own and looks for the tokens. No login, so no PIN try."""
    names = sorted(loaded.modules)
    answers = await asyncio.gather(*(survey_module(loaded.modules[name]) for name in names))
    problems = [
        Problem(f"modules.{name}.path", answer)
        for name, answer in zip(names, answers, strict=True)
        if isinstance(answer, str)
    ]
    slots = {
        name: answer[1] for name, answer in zip(names, answers, strict=True) if not isinstance(answer, str)
    }
    for word, token in sorted(loaded.tokens.items()):
        if token.module not in slots:
            continue
        found = [
            slot.token
            for slot in slots[token.module]
            if slot.token is not None
            and token.label in (None, slot.token.label)
            and token.serial in (None, slot.token.serial)
        ]
        key = f"tokens.{word}.{'label' if token.label else 'serial'}"
        wanted = " and ".join(
            f"{k} {v!r}" for k, v in (("label", token.label), ("serial", token.serial)) if v
        )
        if not found:
            there = ", ".join(repr(s.token.label) for s in slots[token.module] if s.token) or "none"
            blank = [
                slot.slot_id
                for slot in slots[token.module]
                if slot.token is not None
                and INITIALIZED not in slot.token.flags
                and token.serial in (None, slot.token.serial)
            ]
            more = f". Once segeld runs: {hint}" if (hint := way_out(word, token.module, blank)) else ""
            problems.append(Problem(key, f"no slot holds a token with {wanted}; tokens seen: {there}{more}"))
        elif len(found) > 1:
            problems.append(Problem(key, f"{len(found)} tokens have {wanted}: name the serial too"))
    return problems
