"""Every option of a policy, one example that gives more and one that gives less: none can be forgotten."""

import typing
from dataclasses import dataclass

import msgspec
import pytest

from segeld import policy
from segeld.config.strict import Strict
from segeld.model.names import KeyName
from segeld.policy.difference import differences, needs_approval
from segeld.policy.document import PolicyTable
from segeld.policy.rules import Policy

KEYS = [str(KeyName(bytes([number]) * 32)) for number in range(2)]
BASE = f"""
two_person = true
[aliases]
seal = ["{KEYS[0]}"]
[keys.seal]
on_unknown = "fail"
bulk = false
without_certificate = "refuse"
expired = "refuse"
revoked = "refuse"
[defaults]
without_certificate = "refuse"
expired = "refuse"
revoked = "refuse"
[[callers]]
name = "one"
sans = ["dns:one"]
weight = 5
max_priority = "normal"
rate = 10
burst = 20
at_once = 30
on_revoke = "cancel"
[[callers.grants]]
keys = ["keys/seal"]
algorithms = ["ED25519"]
approval = ["dewi"]
[[officers]]
name = "siti"
sans = ["email:siti"]
[[officers]]
name = "rahmat"
sans = ["email:rahmat"]
[[auditors]]
name = "agus"
sans = ["email:agus"]
[[approvers]]
name = "dewi"
sans = ["email:dewi"]
[[approvers]]
name = "nyoman"
sans = ["email:nyoman"]
"""


@dataclass(frozen=True)
class Example:
    """What is written in place of a part of BASE."""

    old: str
    more: str
    says: str
    less: tuple[str, str] | None = None
    """A part of BASE, and what stands in its place and gives less. None: what gives more is undone."""
    less_says: str = ""


def person(table: str, name: str) -> str:
    return f'[[{table}]]\nname = "{name}"\nsans = ["email:{name}"]\n'


WITHOUT, EXPIRED = 'without_certificate = "refuse"\n', 'expired = "refuse"\n'
CALLER = BASE[BASE.index("[[callers]]") : BASE.index("[[officers]]")]

EXAMPLES = {
    "PolicyTable.two_person": Example("two_person = true", "two_person = false", "one officer alone"),
    "PolicyTable.aliases": Example(
        "[keys.seal]", f'other = ["{KEYS[1]}"]\n[keys.seal]', f"keys/other stands for {KEYS[1]}"
    ),
    "PolicyTable.keys": Example(
        "[defaults]", f'[keys."{KEYS[1]}"]\nbulk = true\n[defaults]', f"{KEYS[1]} may be used by jobs"
    ),
    "PolicyTable.defaults": Example(
        '[defaults]\nwithout_certificate = "refuse"\nexpired = "refuse"\nrevoked = "refuse"\n',
        "",
        "a key of which nothing else is said signs without a certificate",
    ),
    "PolicyTable.callers": Example(
        "[[officers]]", f"{person('callers', 'two')}[[officers]]", "new caller two"
    ),
    "PolicyTable.officers": Example(
        "[[officers]]", f"{person('officers', 'x')}[[officers]]", "new officer x"
    ),
    "PolicyTable.auditors": Example(
        "[[officers]]", f"{person('auditors', 'x')}[[officers]]", "new auditor x"
    ),
    "PolicyTable.approvers": Example(
        "[[officers]]", f"{person('approvers', 'x')}[[officers]]", "new approver x"
    ),
    "KeyTable.on_unknown": Example('on_unknown = "fail"', 'on_unknown = "retry"', "is tried again after"),
    "KeyTable.bulk": Example("bulk = false", "bulk = true", "may be used by jobs"),
    "KeyTable.without_certificate": Example(
        f"bulk = false\n{WITHOUT}",
        'bulk = false\nwithout_certificate = "allow"\n',
        f"{KEYS[0]} (seal) signs without a certificate",
    ),
    "KeyTable.expired": Example(
        f"bulk = false\n{WITHOUT}{EXPIRED}",
        f'bulk = false\n{WITHOUT}expired = "allow"\n',
        f"{KEYS[0]} (seal) signs with a certificate that is over",
    ),
    "KeyTable.revoked": Example(
        'revoked = "refuse"\n[defaults]',
        'revoked = "allow"\n[defaults]',
        f"{KEYS[0]} (seal) signs with a certificate that was revoked",
    ),
    "DefaultsTable.without_certificate": Example(
        f"[defaults]\n{WITHOUT}",
        '[defaults]\nwithout_certificate = "allow"\n',
        "nothing else is said signs without a certificate",
    ),
    "DefaultsTable.expired": Example(
        f"[defaults]\n{WITHOUT}{EXPIRED}",
        f'[defaults]\n{WITHOUT}expired = "allow"\n',
        "nothing else is said signs with a certificate that is over",
    ),
    "DefaultsTable.revoked": Example(
        'revoked = "refuse"\n[[callers]]',
        'revoked = "allow"\n[[callers]]',
        "nothing else is said signs with a certificate that was revoked",
    ),
    "CallerTable.name": Example(
        '"one"', '"uno"', "new caller uno: dns:one", (CALLER, ""), less_says="caller one is nobody any more"
    ),
    "CallerTable.sans": Example(
        '["dns:one"]',
        '["dns:one", "dns:two"]',
        "one is also known by dns:two",
        less_says="not known by dns:two",
    ),
    "CallerTable.grants": Example(
        "[[officers]]",
        f'[[callers.grants]]\nkeys = ["{KEYS[1]}"]\n[[officers]]',
        f"one may sign with {KEYS[1]}",
        less_says=f"one may not sign with {KEYS[1]}",
    ),
    "CallerTable.weight": Example(
        "weight = 5", "weight = 6", "weight 6; it was 5", ("weight = 5", "weight = 4")
    ),
    "CallerTable.max_priority": Example(
        'max_priority = "normal"',
        'max_priority = "interactive"',
        "at most priority interactive",
        ('max_priority = "normal"', 'max_priority = "low"'),
        "at most priority low",
    ),
    "CallerTable.rate": Example("rate = 10", "rate = 10.5", "10.5 a second", ("rate = 10", "rate = 9")),
    "CallerTable.burst": Example("burst = 20", "burst = 21", "21 at a time", ("burst = 20", "burst = 19")),
    "CallerTable.at_once": Example(
        "at_once = 30", "at_once = 31", "31 inputs", ("at_once = 30", "at_once = 29")
    ),
    "CallerTable.on_revoke": Example('on_revoke = "cancel"', 'on_revoke = "hold"', "wait when it is revoked"),
    "GrantTable.keys": Example(
        '["keys/seal"]',
        '["keys/seal", "*"]',
        "one may sign with every key",
        less_says="may not sign with every key",
    ),
    "GrantTable.algorithms": Example(
        'algorithms = ["ED25519"]',
        'algorithms = ["ED25519", "RSA_PSS_SHA256"]',
        "for RSA_PSS_SHA256",
        less_says="may not ask",
    ),
    "GrantTable.approval": Example(
        'approval = ["dewi"]\n',
        "",
        "nobody approves any more what one signs",
        less_says="waits for the yes of dewi",
    ),
    "PersonTable.name": Example(
        '"rahmat"',
        '"wayan"',
        "new officer wayan",
        (person("officers", "rahmat"), ""),
        "officer rahmat is nobody any more",
    ),
    "PersonTable.sans": Example(
        '["email:rahmat"]', '["email:rahmat", "email:r"]', "rahmat is also known by email:r"
    ),
}

LEFT_OUT = {
    "rate": ("rate = 10\nburst = 20\n", "any number of signatures"),
    "at_once": ("at_once = 30\n", "as many inputs as the configuration"),
    "algorithms": ('algorithms = ["ED25519"]\n', "one may also ask"),
    "max_priority": ('max_priority = "normal"\n', "priority interactive"),
    "on_revoke": ('on_revoke = "cancel"\n', "wait when it is revoked"),
    "on_unknown": ('on_unknown = "fail"\n', "is tried again"),
}
"""Where saying nothing gives more than what BASE says."""


def parsed(text: str) -> Policy:
    found, problems = policy.parse(text)
    assert problems == [], text
    return found


def replaced(old: str, new: str) -> Policy:
    assert old in BASE, old
    return parsed(BASE.replace(old, new, 1))


def fields(table: type[Strict] = PolicyTable, seen: frozenset = frozenset()) -> set[str]:
    """Each option of the document, as it is declared: `Table.field`."""
    found: set[str] = set()
    for name, kind in typing.get_type_hints(table).items():
        found.add(f"{table.__name__}.{name}")
        for inner in _tables(kind):
            assert inner not in seen, "tables do not hold themselves"
            found |= fields(inner, seen | {table})
    return found


def _tables(kind) -> list[type[Strict]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [table for each in typing.get_args(kind) for table in _tables(each)]


def test_no_option_is_forgotten() -> None:
    assert set(EXAMPLES) == fields()


@pytest.mark.parametrize("option", EXAMPLES)
def test_what_gives_more_needs_another_officer(option) -> None:
    example = EXAMPLES[option]
    found = differences(parsed(BASE), replaced(example.old, example.more))
    wider = [each.text for each in found if each.widens]
    assert any(example.says in text for text in wider), found
    assert needs_approval(found)


@pytest.mark.parametrize("option", EXAMPLES)
def test_what_gives_less_needs_nobody(option) -> None:
    example = EXAMPLES[option]
    if example.less is None:
        found = differences(replaced(example.old, example.more), parsed(BASE))
    else:
        found = differences(parsed(BASE), replaced(*example.less))
    assert found
    assert not needs_approval(found), found
    assert any(example.less_says in each.text for each in found), found


@pytest.mark.parametrize("option", LEFT_OUT)
def test_an_option_that_is_left_out_gives_what_its_default_gives(option) -> None:
    text, says = LEFT_OUT[option]
    found = differences(parsed(BASE), replaced(text, ""))
    assert any(says in each.text and each.widens for each in found), found
    assert not needs_approval(differences(replaced(text, ""), parsed(BASE)))
