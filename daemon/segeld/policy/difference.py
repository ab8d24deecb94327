"""What one policy gives and another does not, in lines for people.

It compares what the rules come to, not how they are written: whatever gives anybody more than before widens, everything
else narrows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from segeld.model.algorithm import Algorithm
from segeld.model.counts import counted
from segeld.model.principal import Role
from segeld.policy.difference_keys import alias_differences, option_differences
from segeld.policy.key_words import KeyWords
from segeld.policy.line import Difference, narrower, wider
from segeld.policy.rules import ANY_ALGORITHM, Grants, Policy, Rate, Standing

_NOTHING: Final = Grants()
_LOST: Final = "; its jobs that need it are cancelled"


@dataclass(frozen=True, slots=True)
class _People:
    role: Role
    sans: frozenset[str]


def differences(before: Policy, after: Policy) -> tuple[Difference, ...]:
    """Those that widen first; empty if both policies come to the same."""
    found = [
        *_two_person(before, after),
        *_people(_by_name(before), _by_name(after), before.cancels),
        *_callers(before, after),
        *alias_differences(before.aliases, after.aliases),
        *option_differences(before, after),
    ]
    return tuple(sorted(found, key=lambda each: not each.widens))


def needs_approval(found: Iterable[Difference]) -> bool:
    """Whether another officer must say yes to it."""
    return any(each.widens for each in found)


def _two_person(before: Policy, after: Policy) -> Iterator[Difference]:
    if before.two_person and not after.two_person:
        yield wider("one officer alone can do what needed two: two_person = false")
    elif after.two_person and not before.two_person:
        yield narrower("what is dangerous needs two officers from now on")


def _by_name(policy: Policy) -> dict[str, _People]:
    sans: dict[str, set[str]] = {}
    roles: dict[str, Role] = {}
    for san, who in policy.principals.items():
        sans.setdefault(who.name, set()).add(san)
        roles[who.name] = who.role
    return {name: _People(roles[name], frozenset(found)) for name, found in sans.items()}


def _people(
    before: Mapping[str, _People], after: Mapping[str, _People], cancels: Callable[[str], bool]
) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is not None and (new is None or new.role is not old.role):
            yield narrower(
                f"{old.role} {name} is nobody any more{'; its jobs are cancelled' if cancels(name) else ''}"
            )
        if new is not None and (old is None or new.role is not old.role):
            yield wider(f"new {new.role} {name}: {', '.join(sorted(new.sans))}")
        elif old is not None and new is not None:
            for san in sorted(new.sans - old.sans):
                yield wider(f"{new.role} {name} is also known by {san}")
            for san in sorted(old.sans - new.sans):
                yield narrower(f"{new.role} {name} is not known by {san} any more")


def _callers(before: Policy, after: Policy) -> Iterator[Difference]:
    words = KeyWords(before, after)
    for name in sorted(before.grants.keys() | after.grants.keys()):
        yield from _grants(name, before, after, words)
        if name in after.standings:
            yield from _standing(name, before.standings.get(name), after.standings[name])


def _grants(caller: str, before: Policy, after: Policy, words: KeyWords) -> Iterator[Difference]:
    if caller not in after.grants:
        return  # that it is gone says it all
    old, new = before.grants.get(caller, _NOTHING), after.grants[caller]
    if old == new:
        return
    lost = _LOST if after.cancels(caller) else ""
    every = _one_grant(
        caller,
        lost,
        "every key",
        old.on_every_key,
        new.on_every_key,
        old.approvers_on_every_key,
        new.approvers_on_every_key,
    )
    yield from every
    for key in sorted(old.by_key.keys() | new.by_key.keys()):
        yield from _one_grant(
            caller, lost, words.of(key), old.on(key), new.on(key), old.asked(key), new.asked(key)
        )


def _one_grant(
    caller: str,
    lost: str,
    key: str,
    old: frozenset[Algorithm],
    new: frozenset[Algorithm],
    asked_before: frozenset[str],
    asked: frozenset[str],
) -> Iterator[Difference]:
    if new and not old:
        approval = f", with approval by {_either(asked)}" if asked else ""
        yield wider(f"{caller} may sign with {key}: {_algorithms(new)}{approval}")
    elif old and not new:
        yield narrower(f"{caller} may not sign with {key} any more{lost}")
    else:
        if new - old:
            yield wider(f"{caller} may also ask {key} for {_algorithms(new - old)}")
        if old - new:
            yield narrower(f"{caller} may not ask {key} for {_algorithms(old - new)} any more{lost}")
        if old:
            yield from _approval(caller, key, asked_before, asked)


def _approval(caller: str, key: str, old: frozenset[str], new: frozenset[str]) -> Iterator[Difference]:
    if old and not new:
        yield wider(f"nobody approves any more what {caller} signs with {key}; it was {_either(old)}")
    elif new and not old:
        yield narrower(f"what {caller} signs with {key} waits for the yes of {_either(new)}")
    else:
        for name in sorted(new - old):
            yield wider(f"{name} may approve what {caller} signs with {key}")
        for name in sorted(old - new):
            yield narrower(f"{name} may not approve any more what {caller} signs with {key}")


def _standing(caller: str, old: Standing | None, new: Standing) -> Iterator[Difference]:
    if old is None:
        return  # a new caller widens as it is
    if new.weight != old.weight:
        yield _line(f"{caller} has weight {new.weight}; it was {old.weight}", widens=new.weight > old.weight)
    if new.highest is not old.highest:
        text = f"{caller}'s work gets at most priority {new.highest.name.lower()}; it was {old.highest.name.lower()}"
        yield _line(text, widens=new.highest < old.highest)
    if new.rate != old.rate:
        text = f"{caller} may ask for {_rate(new.rate)}; it was {_rate(old.rate)}"
        yield _line(text, widens=_is_faster(new.rate, old.rate))
    if new.at_once != old.at_once:
        text = f"{caller} may have {_inputs(new.at_once)} waiting; it was {_inputs(old.at_once)}"
        more = old.at_once is not None and (new.at_once is None or new.at_once > old.at_once)
        yield _line(text, widens=more)
    if new.cancelled is not old.cancelled:
        text = f"the jobs of {caller} {'are cancelled' if new.cancelled else 'wait'} when it is revoked or loses a grant"
        yield _line(text, widens=not new.cancelled)


def _is_faster(new: Rate | None, old: Rate | None) -> bool:
    if old is None or new is None:
        return old is not None
    return new.per_second > old.per_second or new.burst > old.burst


def _rate(rate: Rate | None) -> str:
    return (
        "any number of signatures"
        if rate is None
        else f"{rate.per_second:g} a second, {rate.burst} at a time"
    )


def _inputs(count: int | None) -> str:
    return "as many inputs as the configuration allows" if count is None else counted(count, "input")


def _line(text: str, *, widens: bool) -> Difference:
    return wider(text) if widens else narrower(text)


def _algorithms(algorithms: frozenset[Algorithm]) -> str:
    if algorithms == ANY_ALGORITHM:
        return "whatever it can do"
    return ", ".join(sorted(each.name for each in algorithms))


def _either(names: frozenset[str]) -> str:
    return " or ".join(sorted(names))
