"""The policy file: what it becomes, and that every fault in it is named."""

from pathlib import Path

import pytest

from segeld import policy
from segeld.model.algorithm import Algorithm
from segeld.model.names import Alias, KeyName
from segeld.model.priority import Priority
from segeld.policy import Verdict
from segeld.policy.rules import Rate

EXAMPLE = Path(__file__).parents[3] / "daemon" / "policy.example.toml"
KEY = "sha256-" + "0a" * 32
DEWI = '[[approvers]]\nname = "dewi"\nsans = ["email:dewi"]\n'


@pytest.fixture
def faults(tmp_path):
    def find(text: str) -> dict[str, str]:
        path = tmp_path / "policy.toml"
        path.write_text(text)
        return {problem.key: problem.text for problem in policy.check(path)}

    return find


def caller(rest: str = "", sans: str = '"dns:one.example"') -> str:
    return f'[[callers]]\nname = "one"\nsans = [{sans}]\n{rest}\n'


def grant(keys: str, rest: str = "") -> str:
    return caller(f"[[callers.grants]]\nkeys = [{keys}]\n{rest}\n")


def test_the_example_does_what_it_says():
    loaded = policy.load(EXAMPLE)
    who = loaded.principal(["uri:spiffe://example/backoffice"])
    (key,) = loaded.resolve(Alias("seal-2026"), who.name)
    assert loaded.allows(who.name, key, Algorithm.ECDSA_P256_SHA256) is Verdict.ALLOWED
    assert loaded.allows(who.name, key, Algorithm.ECDSA_P384_SHA384) is Verdict.ALGORITHM_DENIED
    assert loaded.aliases_of(key, "siti") == ()
    assert (loaded.weight(who.name), loaded.highest_priority(who.name)) == (1, Priority.INTERACTIVE)
    assert loaded.attempts(key) == 3


def test_the_example_names_every_algorithm():
    assert all(each.name in EXAMPLE.read_text() for each in Algorithm)


def test_an_empty_file_is_a_policy_of_no(faults):
    assert faults("") == {}


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("[callers]", "callers", "a list in [ ] is wanted, not a table"),
        ("[[callers]]", "callers[0].name", "is required"),
        ("[[caller]]", "caller", "is callers meant?"),
        (caller("admin = true"), "callers[0].admin", "not known"),
        (caller(sans=""), "callers[0].sans", "names nobody"),
        (caller(sans='"one.example"'), "callers[0].sans[0]", "uri:, dns: or email:"),
        (caller(sans='"cn:one"'), "callers[0].sans[0]", "uri:, dns: or email:"),
        (caller(sans='"dns:*.example"'), "callers[0].sans[0]", "a pattern"),
        (caller(sans='"dns:a b"'), "callers[0].sans[0]", "without spaces"),
        (caller(sans='"dns:ä.example"'), "callers[0].sans[0]", "printable"),
        (caller(sans='"dns:a.example", "dns:a.example"'), "callers[0].sans[1]", "already belongs to one"),
        (caller() + caller(sans='"dns:b.example"'), "callers[1].name", "also the name at callers[0]"),
        (
            caller() + '[[officers]]\nname = "siti"\nsans = ["dns:one.example"]',
            "officers[0].sans[0]",
            "already belongs to one",
        ),
        ('[[callers]]\nname = "Big Boss"\nsans = ["dns:b"]', "callers[0].name", "a-z 0-9"),
        (grant(""), "callers[0].grants[0].keys", "names no key"),
        (grant('"keys/seal"'), "callers[0].grants[0].keys[0]", "not among the aliases"),
        (grant('"seal"'), "callers[0].grants[0].keys[0]", "begins with keys/"),
        (grant('"*"', "algorithms = []"), "callers[0].grants[0].algorithms", "is empty"),
        (grant('"*"', 'algorithms = ["RSA"]'), "callers[0].grants[0].algorithms[0]", "ECDSA_P256_SHA256"),
        (caller("weight = 0"), "callers[0].weight", ">= 1"),
        (caller("weight = 101"), "callers[0].weight", "<= 100"),
        (
            caller("weight = 1.5"),
            "callers[0].weight",
            "a whole number is wanted, not one with a decimal point",
        ),
        (
            caller('max_priority = "urgent"'),
            "callers[0].max_priority",
            "'urgent' is not known; there are interactive, low, normal",
        ),
        ("[keys.seal]", 'keys."seal"', "not among the aliases"),
        ("[keys.Seal]", 'keys."Seal"', "is no name for an alias"),
        ("[keys]\nseal = 1", "keys.seal", "is a table"),
        (
            f'[keys.{KEY}]\non_unknown = "ask"',
            f"keys.{KEY}.on_unknown",
            "'ask' is not known; there are fail, retry",
        ),
        (f"[keys.{KEY}]\nattempts = 3", f"keys.{KEY}.attempts", "not known"),
        (f'[keys.{KEY}]\n[keys."keys/{KEY}"]', f'keys."keys/{KEY}"', "is the same key as"),
        (grant('"*"', "approval = []"), "callers[0].grants[0].approval", "names nobody"),
        (grant('"*"', 'approval = ["dewi"]'), "callers[0].grants[0].approval[0]", "not among the approvers"),
        (
            f'[aliases]\nseal = ["{KEY}"]\n'
            + grant('"keys/seal"', f'approval = ["dewi"]\n[[callers.grants]]\nkeys = ["keys/{KEY}"]')
            + DEWI,
            "callers[0].grants[1].keys[0]",
            "contradicts callers[0].grants[0].keys[0]",
        ),
        (
            grant('"*"', 'approval = ["dewi"]\n[[callers.grants]]\nkeys = ["*"]') + DEWI,
            "callers[0].grants[1].keys[0]",
            "no approval here, with approval by dewi there",
        ),
        (caller("rate = 0"), "callers[0].rate", "> 0"),
        (caller("rate = inf"), "callers[0].rate", "<= 1000000"),
        (caller("burst = 3"), "callers[0].burst", "means nothing without rate"),
        (caller("at_once = 0"), "callers[0].at_once", ">= 1"),
        (caller('on_revoke = "burn"'), "callers[0].on_revoke", "'burn' is not known; there are cancel, hold"),
        (
            f'[keys.{KEY}]\nexpired = "maybe"',
            f"keys.{KEY}.expired",
            "'maybe' is not known; there are allow, refuse",
        ),
        ("[defaults]\nbulk = true", "defaults.bulk", "not known"),
        ('two_person = "no"', "two_person", "true or false is wanted, not text"),
        (grant('"*"', "weight = 3"), "callers[0].grants[0].weight", "not known"),
        ("[aliases]\nseal = []", 'aliases."seal"', "names no key"),
        ('[aliases]\nseal = ["seal"]', 'aliases."seal"[0]', "is no key name"),
        (f'[aliases]\nseal = ["{KEY}", "keys/{KEY}"]', 'aliases."seal"[1]', "stands twice"),
        (f'[aliases]\nSeal = ["{KEY}"]', 'aliases."Seal"', "is no name for an alias"),
        (f'[aliases]\n"keys/a" = ["{KEY}"]\na = ["{KEY}"]', 'aliases."a"', "the same alias"),
        (f'[aliases]\n{KEY} = ["{KEY}"]', f'aliases."{KEY}"', "is no name for an alias"),
    ],
)
def test_a_fault_is_named(faults, text, key, said):
    found = faults(text)
    assert key in found, found
    assert said in found[key]


def test_every_fault_is_found_at_once(faults):
    text = caller(sans='"dns:*"') + grant('"keys/nothing"') + "[aliases]\nseal = []\n"
    assert set(faults(text)) == {
        'aliases."seal"',
        "callers[0].sans[0]",
        "callers[1].grants[0].keys[0]",
        "callers[1].name",
    }


def test_a_policy_with_a_fault_is_not_loaded(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(caller(sans='"dns:*"'))
    with pytest.raises(policy.PolicyError, match="a pattern") as caught:
        policy.load(path)
    assert list(caught.value.problems) == policy.check(path)


def test_a_policy_that_is_not_there_is_a_problem(tmp_path):
    (problem,) = policy.check(tmp_path / "missing.toml")
    assert "cannot be read" in problem.text


def options(text: str):
    found, problems = policy.parse(f'[aliases]\nseal = ["{KEY}"]\n{text}')
    assert problems == []
    return found.options_of(KeyName.parse(KEY))


def test_the_strictest_word_of_all_names_of_a_key_counts_and_a_word_counts_more_than_none():
    assert options("").expired
    assert not options('[defaults]\nexpired = "refuse"').expired
    loose = options('[defaults]\nexpired = "refuse"\n[keys.seal]\nexpired = "allow"\nbulk = true')
    assert (loose.expired, loose.bulk) == (True, True)
    both = options(f'[keys.seal]\nexpired = "allow"\nbulk = true\n[keys.{KEY}]\nexpired = "refuse"')
    assert (both.expired, both.bulk) == (False, False)


def test_the_limits_of_a_caller():
    found, _ = policy.parse(caller('rate = 2.5\nat_once = 7\non_revoke = "cancel"'))
    assert found.rate("one") == Rate(2.5, 3)
    assert (found.at_once("one"), found.cancels("one")) == (7, True)
    assert (found.rate("two"), found.at_once("two"), found.cancels("two")) == (None, None, False)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "names nobody"), ('[[officers]]\nname = "a"\nsans = ["dns:a"]', "names a alone")],
)
def test_too_few_officers_for_two_persons(text, says):
    (problem,) = policy.staffing(policy.parse(text)[0])
    assert says in problem.text
    assert policy.staffing(policy.parse("two_person = false\n" + text)[0]) == []


def test_the_example_has_enough_officers():
    assert policy.staffing(policy.load(EXAMPLE)) == []


@pytest.mark.parametrize("octets", [policy.MAX_POLICY, policy.MAX_POLICY + 1])
def test_a_policy_is_no_longer_than_what_officers_can_send(faults, octets):
    """One that was taken from its file could never be changed else."""
    text = "#" * octets
    too_long = octets > policy.MAX_POLICY
    assert any("is longer than 1000000 octets" in each for each in faults(text).values()) is too_long
    assert any("is longer than" in problem.text for problem in policy.parse(text)[1]) is too_long
