"""From the policy file's tables to rules, with every fault named. A policy with a fault is not used at all."""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Final

from segeld.config.strict import Problem
from segeld.model.algorithm import BY_NAME, Algorithm
from segeld.model.names import Alias, BadName, KeyName, parse_key_or_alias
from segeld.model.principal import Principal, Role
from segeld.model.priority import Priority
from segeld.policy.document import CallerTable, PersonTable, PolicyTable
from segeld.policy.grants import GrantBook
from segeld.policy.key_options import defaults_of, key_options
from segeld.policy.rules import ANY_ALGORITHM, Grants, Policy, Rate, Standing

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_SAN: Final = re.compile(r"(uri|dns|email):[\x21-\x7e]{1,1024}")


class _Compiler:
    def __init__(self, table: PolicyTable) -> None:
        self.problems: list[Problem] = []
        self._table = table
        self._aliases: dict[Alias, tuple[KeyName, ...]] = {}
        self._principals: dict[str, Principal] = {}
        self._names: dict[str, str] = {}
        self._approver_names = {person.name for person in table.approvers}

    def policy(self) -> Policy:
        for word, keys in self._table.aliases.items():
            self._alias(word, keys)
        defaults = defaults_of(self._table.defaults)
        options, problems = key_options(self._table.keys, defaults, self._aliases)
        self.problems += problems
        grants: dict[str, Grants] = {}
        standings: dict[str, Standing] = {}
        for at, role, person in _people(self._table):
            self._person(at, role, person)
            if isinstance(person, CallerTable):
                grants[person.name] = self._grants(at, person)
                standings[person.name] = self._standing(at, person)
        return Policy(
            self._principals,
            self._aliases,
            grants,
            standings,
            frozenset(key for key, each in options.items() if not each.repeated),
            options,
            defaults,
            self._table.two_person,
        )

    def _fault(self, key: str, text: str) -> None:
        self.problems.append(Problem(key, text))

    def _alias(self, word: str, keys: Iterable[str]) -> None:
        at = f'aliases."{word}"'
        parsed: dict[KeyName, None] = {}
        for number, text in enumerate(keys):
            try:
                name = KeyName.parse(text)
            except BadName as error:
                self._fault(f"{at}[{number}]", str(error))
                continue
            if name in parsed:
                self._fault(f"{at}[{number}]", "stands twice in this alias")
            parsed[name] = None
        if not keys:
            self._fault(at, "names no key")
        try:
            alias = Alias.parse(word)
        except BadName as error:
            self._fault(at, str(error))
            return
        if alias in self._aliases:
            self._fault(at, "is the same alias as another one")
        self._aliases[alias] = tuple(parsed)

    def _person(self, at: str, role: Role, person: CallerTable | PersonTable) -> None:
        if not _NAME.fullmatch(person.name):
            self._fault(
                f"{at}.name", f"{person.name!r} is not 1 to 63 of a-z 0-9 . _ - between letters or digits"
            )
        elif (other := self._names.setdefault(person.name, at)) != at:
            self._fault(f"{at}.name", f"{person.name} is also the name at {other}")
        if not person.sans:
            self._fault(f"{at}.sans", "names nobody: at least one SAN is needed")
        for number, san in enumerate(person.sans):
            key = f"{at}.sans[{number}]"
            if not _SAN.fullmatch(san):
                self._fault(
                    key, f"{san!r} is not uri:, dns: or email: and the name, printable and without spaces"
                )
            elif "*" in san:
                self._fault(key, f"{san!r} is a pattern; a SAN is compared as it is")
            elif san in self._principals:
                self._fault(key, f"{san} already belongs to {self._principals[san].name}")
            else:
                self._principals[san] = Principal(person.name, role, san)

    def _standing(self, at: str, caller: CallerTable) -> Standing:
        rate = None
        if caller.rate is not None:
            rate = Rate(caller.rate, caller.burst or math.ceil(caller.rate))
        elif caller.burst is not None:
            self._fault(f"{at}.burst", "means nothing without rate")
        return Standing(
            caller.weight,
            Priority[caller.max_priority.upper()],
            rate,
            caller.at_once,
            caller.on_revoke == "cancel",
        )

    def _grants(self, at: str, caller: CallerTable) -> Grants:
        book = GrantBook(self._fault)
        for number, grant in enumerate(caller.grants):
            where = f"{at}.grants[{number}]"
            algorithms = self._algorithms(where, grant.algorithms)
            approvers = self._approvers(where, grant.approval)
            if not grant.keys:
                self._fault(f"{where}.keys", "names no key")
            for position, text in enumerate(grant.keys):
                here = f"{where}.keys[{position}]"
                if text == "*":
                    book.every_key(here, algorithms, approvers)
                    continue
                for key in self._keys(here, text):
                    book.key(here, key, algorithms, approvers)
        return book.grants()

    def _approvers(self, at: str, names: tuple[str, ...] | None) -> frozenset[str]:
        if names is None:
            return frozenset()
        if not names:
            self._fault(f"{at}.approval", "names nobody; leave it out if nobody has to approve")
        for number, name in enumerate(names):
            if name not in self._approver_names:
                self._fault(
                    f"{at}.approval[{number}]", f"{name!r} is not among the approvers; name them there"
                )
        return frozenset(names)

    def _algorithms(self, at: str, names: tuple[str, ...] | None) -> frozenset[Algorithm]:
        if names is None:
            return ANY_ALGORITHM
        if not names:
            self._fault(f"{at}.algorithms", "is empty; leave it out to grant whatever the key can do")
        for number, name in enumerate(names):
            if name not in BY_NAME:
                known = ", ".join(BY_NAME)
                self._fault(f"{at}.algorithms[{number}]", f"{name!r} is not known; there are {known}")
        return frozenset(BY_NAME[name] for name in names if name in BY_NAME)

    def _keys(self, at: str, text: str) -> tuple[KeyName, ...]:
        try:
            name = parse_key_or_alias(text)
        except BadName as error:
            self._fault(at, str(error))
            return ()
        if isinstance(name, KeyName):
            return (name,)
        if name not in self._aliases:
            self._fault(at, f"{name} is not among the aliases; write it there, or name a key: keys/sha256-…")
        return self._aliases.get(name, ())


def _people(table: PolicyTable) -> Iterator[tuple[str, Role, CallerTable | PersonTable]]:
    for number, caller in enumerate(table.callers):
        yield f"callers[{number}]", Role.CALLER, caller
    others = (
        (Role.OFFICER, table.officers),
        (Role.AUDITOR, table.auditors),
        (Role.APPROVER, table.approvers),
    )
    for role, people in others:
        for number, person in enumerate(people):
            yield f"{role}s[{number}]", role, person


def compile_policy(table: PolicyTable) -> tuple[Policy, list[Problem]]:
    """The rules of a policy file and what is wrong with it. With problems, the rules must not be used."""
    compiler = _Compiler(table)
    policy = compiler.policy()
    return policy, sorted(compiler.problems)
