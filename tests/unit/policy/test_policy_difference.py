"""Differences between two policies: whatever gives anybody more is said to widen."""

import copy
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from segeld import policy
from segeld.model.algorithm import Algorithm
from segeld.model.names import Alias, KeyName
from segeld.model.principal import Role
from segeld.model.priority import Priority
from segeld.policy.difference import differences, needs_approval
from segeld.policy.rules import Policy

KEYS = [KeyName(bytes([number]) * 32) for number in range(3)]
SOME_ALGORITHMS = ("ECDSA_P256_SHA256", "ED25519")
WORDS = st.sampled_from(["allow", "refuse"])
GRANT = st.fixed_dictionaries(
    {"keys": st.lists(st.sampled_from(["*", "keys/seal", *map(str, KEYS)]), min_size=1, unique=True)},
    optional={
        "algorithms": st.lists(st.sampled_from(SOME_ALGORITHMS), min_size=1, unique=True),
        "approval": st.lists(st.sampled_from(["dewi", "nyoman"]), min_size=1, unique=True),
    },
)
CALLER = st.fixed_dictionaries(
    {
        "sans": st.lists(st.sampled_from(["dns:a", "dns:b", "dns:c"]), min_size=1, unique=True),
        "grants": st.lists(GRANT, max_size=2),
    },
    optional={
        "weight": st.integers(1, 3),
        "max_priority": st.sampled_from(["interactive", "normal", "low"]),
        "rate": st.sampled_from([0.5, 2.0, 3.0]),
        "burst": st.integers(1, 3),
        "at_once": st.integers(1, 3),
        "on_revoke": st.sampled_from(["hold", "cancel"]),
    },
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "on_unknown": st.sampled_from(["retry", "fail"]),
        "bulk": st.booleans(),
        "without_certificate": WORDS,
        "expired": WORDS,
        "revoked": WORDS,
    },
)
DOCUMENT = st.fixed_dictionaries(
    {
        "two_person": st.booleans(),
        "aliases": st.fixed_dictionaries(
            {"seal": st.lists(st.sampled_from([str(key) for key in KEYS]), min_size=1, unique=True)}
        ),
        "callers": st.dictionaries(st.sampled_from(["one", "two"]), CALLER, max_size=2),
        "officers": st.sets(st.sampled_from(["siti", "rahmat"])),
        "keys": st.dictionaries(st.sampled_from(["seal", str(KEYS[0])]), OPTIONS, max_size=2),
        "defaults": st.fixed_dictionaries({}, optional={"expired": WORDS, "revoked": WORDS}),
    }
)


def value(thing) -> str:
    if isinstance(thing, bool):
        return str(thing).lower()
    if isinstance(thing, list):
        return f"[{', '.join(map(value, thing))}]"
    return f'"{thing}"' if isinstance(thing, str) else repr(thing)


def text_of(document) -> str:
    lines = [f"two_person = {value(document['two_person'])}", "[aliases]"]
    lines += [f"{alias} = {value(keys)}" for alias, keys in document["aliases"].items()]
    for table in ("keys", "defaults"):
        tables = document[table] if table == "keys" else {"": document[table]}
        for name, options in tables.items():
            lines.append(f'[{table}."{name}"]' if name else f"[{table}]")
            lines += [f"{key} = {value(each)}" for key, each in options.items()]
    taken = set()
    for name, caller in document["callers"].items():
        sans = [san for san in caller["sans"] if san not in taken]
        if not sans:
            continue
        taken |= set(sans)
        lines += ["[[callers]]", f'name = "{name}"', f"sans = {value(sans)}"]
        left_out = ("sans", "grants") if "rate" in caller else ("sans", "grants", "burst")
        lines += [f"{key} = {value(each)}" for key, each in caller.items() if key not in left_out]
        for grant in caller["grants"]:
            lines += ["[[callers.grants]]", *(f"{key} = {value(each)}" for key, each in grant.items())]
    for name in document["officers"]:
        lines += ["[[officers]]", f'name = "{name}"', f'sans = ["email:{name}"]']
    for name in ("dewi", "nyoman"):
        lines += ["[[approvers]]", f'name = "{name}"', f'sans = ["email:{name}"]']
    return "\n".join(lines)


def compiled(document) -> Policy | None:
    """None if its grants contradict each other."""
    found, problems = policy.parse(text_of(document))
    assert all("contradicts" in problem.text for problem in problems), problems
    return None if problems else found


POLICY = DOCUMENT.map(compiled).filter(lambda found: found is not None)


@st.composite
def near(draw) -> tuple[Policy, Policy]:
    """Two policies of which one thing differs: what gives more is not hidden behind other things that do."""
    document, other = draw(DOCUMENT), draw(DOCUMENT)
    changed = copy.deepcopy(document)
    if not changed["callers"] or draw(st.booleans()):
        table = draw(st.sampled_from(sorted(changed)))
        changed[table] = other[table]
    else:
        caller, drawn = draw(st.sampled_from(list(changed["callers"].values()))), draw(CALLER)
        grants = caller["grants"]
        if grants and draw(st.booleans()):
            caller, drawn = draw(st.sampled_from(grants)), draw(GRANT)
        option = draw(st.sampled_from(sorted(caller | drawn)))
        caller.pop(option, None)
        if option in drawn:
            caller[option] = drawn[option]
        elif option in ("sans", "grants", "keys"):
            assume(condition=False)
    before, after = compiled(document), compiled(changed)
    assume(before is not None and after is not None)
    return before, after


PAIR = near() | st.tuples(POLICY, POLICY)
ANY_KEY = [*KEYS, KeyName(b"\xff" * 32)]


def rights(found: Policy) -> dict:
    """What there is to be had: a number for each, of which more is more. Written without a look at `difference`."""
    have: dict = {"one officer does it": int(not found.two_person)}
    for san, who in found.principals.items():
        have[san, who.role] = 1
        if who.role is not Role.CALLER:
            continue
        standing = found.standings[who.name]
        infinite = float("inf")
        have[san, "weight"] = standing.weight
        have[san, "priority"] = -int(standing.highest)
        have[san, "rate"] = standing.rate.per_second if standing.rate else infinite
        have[san, "burst"] = standing.rate.burst if standing.rate else infinite
        have[san, "at once"] = standing.at_once if standing.at_once is not None else infinite
        have[san, "kept"] = 0 if standing.cancelled else 1
        for key in ANY_KEY:
            asked = found.approvers_for(who.name, key)
            for algorithm in Algorithm:
                if found.permits(who.name, key, algorithm):
                    have[san, key, algorithm] = 1
                    have[san, key, algorithm, "alone"] = int(not asked)
                    for approver in ("dewi", "nyoman"):
                        have[san, key, algorithm, approver] = int(not asked or approver in asked)
    for key in ANY_KEY:
        options = found.options_of(key)
        for name in ("repeated", "bulk", "without_certificate", "expired", "revoked"):
            have[key, name] = int(getattr(options, name))
    have |= {(alias, key): 1 for alias, keys in found.aliases.items() for key in keys}
    return have


def gains(before: Policy, after: Policy) -> list:
    old = rights(before)
    return [
        what for what, much in rights(after).items() if much > old.get(what, float("-inf") if much else 0)
    ]


@settings(max_examples=500, deadline=None)
@given(PAIR)
def test_whatever_gives_more_needs_approval(pair):
    before, after = pair
    gained = gains(before, after)
    found = differences(before, after)
    assert needs_approval(found) or not gained, (gained, found)


@settings(max_examples=200, deadline=None)
@given(PAIR)
def test_what_changes_nothing_says_so_and_everything_else_says_something(pair):
    before, after = pair
    assert differences(before, before) == ()
    if rights(before) != rights(after):
        assert differences(before, after)


@settings(max_examples=200, deadline=None)
@given(POLICY, st.sampled_from(["two"]))
def test_taking_a_caller_out_needs_nobody_else(before, name):
    gone = {san: who for san, who in before.principals.items() if who.name != name}
    after = replace(
        before,
        principals=gone,
        grants={who: each for who, each in before.grants.items() if who != name},
        standings={who: each for who, each in before.standings.items() if who != name},
    )
    assert not needs_approval(differences(before, after))


BASE = f"""
[aliases]
seal = ["{KEYS[0]}"]
[[callers]]
name = "one"
sans = ["dns:a"]
rate = 10
at_once = 5
max_priority = "normal"
[[callers.grants]]
keys = ["keys/seal"]
algorithms = ["ED25519"]
approval = ["dewi"]
[[officers]]
name = "siti"
sans = ["email:siti"]
[[approvers]]
name = "dewi"
sans = ["email:dewi"]
[[approvers]]
name = "nyoman"
sans = ["email:nyoman"]
"""


def parsed(text: str) -> Policy:
    found, problems = policy.parse(text)
    assert problems == []
    return found


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[aliases]", "two_person = false\n[aliases]", "one officer alone"),
        ('["dns:a"]', '["dns:a", "dns:b"]', "one is also known by dns:b"),
        ("rate = 10", "rate = 11", "one may ask for 11 a second"),
        ("rate = 10\n", "", "any number of signatures"),
        ("rate = 10", "rate = 10\nburst = 20", "20 at a time"),
        ("at_once = 5", "at_once = 6", "6 inputs"),
        ("at_once = 5\n", "", "as many inputs as the configuration"),
        ('"normal"', '"interactive"', "priority interactive"),
        ("rate = 10", "rate = 10\nweight = 2", "weight 2; it was 1"),
        ('["ED25519"]', '["ED25519", "RSA_PSS_SHA256"]', "for RSA_PSS_SHA256"),
        ('approval = ["dewi"]\n', "", "nobody approves any more"),
        ('approval = ["dewi"]', 'approval = ["dewi", "nyoman"]', "nyoman may approve"),
        ('["keys/seal"]', '["keys/seal", "*"]', "with every key"),
        (f'["{KEYS[0]}"]', f'["{KEYS[0]}", "{KEYS[1]}"]', "keys/seal stands for keys/sha256-0101"),
        ("[[officers]]", '[[officers]]\nname = "b"\nsans = ["email:b"]\n[[officers]]', "new officer b"),
        ("[[officers]]", '[[auditors]]\nname = "b"\nsans = ["email:b"]\n[[officers]]', "new auditor b"),
        ("[aliases]", "[keys.seal]\nbulk = true\n[aliases]", "may be used by jobs"),
    ],
)
def test_a_rule_that_gives_more_and_its_way_back(old, new, says):
    assert old in BASE
    before, after = parsed(BASE), parsed(BASE.replace(old, new, 1))
    found = differences(before, after)
    assert any(says in each.text and each.widens for each in found), found
    back = differences(after, before)
    assert back
    assert not needs_approval(back), back


def test_a_rule_that_needs_a_yes_from_now_on_narrows():
    found = differences(parsed(BASE.replace('approval = ["dewi"]\n', "")), parsed(BASE))
    assert [(each.widens, "waits for the yes of dewi" in each.text) for each in found] == [(False, True)]


def test_the_order_of_keys_is_a_difference_that_gives_nobody_more():
    two = BASE.replace(f'["{KEYS[0]}"]', f'["{KEYS[0]}", "{KEYS[1]}"]')
    other = BASE.replace(f'["{KEYS[0]}"]', f'["{KEYS[1]}", "{KEYS[0]}"]')
    (found,) = differences(parsed(two), parsed(other))
    assert not found.widens
    assert "another order" in found.text


def test_what_is_written_otherwise_and_comes_to_the_same_is_no_difference():
    other = BASE.replace('["keys/seal"]', f'["{KEYS[0]}"]').replace(
        "\n[[officers]]", "\n# a word\n[[officers]]"
    )
    assert differences(parsed(BASE), parsed(other)) == ()


def test_a_grant_that_names_the_key_decides_over_one_of_every_key():
    found = parsed(BASE.replace("[[officers]]", '[[callers.grants]]\nkeys = ["*"]\n[[officers]]', 1))
    assert found.approvers_for("one", KEYS[0]) == {"dewi"}
    assert found.approvers_for("one", KEYS[1]) == frozenset()
    assert found.resolve(Alias("seal"), "one") == (KEYS[0],)
    assert found.highest_priority("one") is Priority.NORMAL


def test_a_key_is_named_with_all_its_aliases():
    two = BASE.replace("[aliases]", f'[keys.seal]\nbulk = true\n[aliases]\nold = ["{KEYS[0]}"]')
    found = [each.text for each in differences(parsed(BASE), parsed(two))]
    assert (
        f"{KEYS[0]} (seal, old) may be used by jobs, even if it asks for its PIN at every signature" in found
    )
