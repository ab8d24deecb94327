"""What is not granted is never allowed, and what is hidden looks like what is not there."""

from hypothesis import given
from hypothesis import strategies as st

from segeld import policy as policies
from segeld.config.strict import build
from segeld.model.algorithm import Algorithm
from segeld.model.names import Alias, KeyName
from segeld.model.principal import Role
from segeld.model.priority import Priority
from segeld.policy import Policy, Verdict
from segeld.policy.compile import compile_policy
from segeld.policy.document import PolicyTable

KEYS = [KeyName.of(str(number).encode()) for number in range(6)]
ALIASES = ["seal", "stamp", "sign"]
CALLERS = ["one", "two", "three"]

key_texts = st.sampled_from(KEYS).map(str)
grant = st.fixed_dictionaries(
    {
        "keys": st.lists(
            key_texts | st.sampled_from([f"keys/{word}" for word in ALIASES]), min_size=1, max_size=3
        )
    },
    optional={
        "algorithms": st.lists(st.sampled_from(Algorithm).map(lambda each: each.name), min_size=1, max_size=3)
    },
)
documents = st.fixed_dictionaries(
    {
        "aliases": st.fixed_dictionaries(
            {word: st.lists(key_texts, min_size=1, max_size=3, unique=True) for word in ALIASES}
        ),
        "callers": st.fixed_dictionaries({name: st.lists(grant, max_size=3) for name in CALLERS}).map(
            lambda by_name: [
                {"name": name, "sans": [f"dns:{name}.example"], "grants": grants}
                for name, grants in by_name.items()
            ]
        ),
    }
)


def rules(document) -> Policy:
    table, problems = build(PolicyTable, document, None)
    assert problems == []
    policy, problems = compile_policy(table)
    assert problems == []
    return policy


def granted(document, caller, key, algorithm) -> bool:
    """The document read again, as a person would read it."""
    (entry,) = [each for each in document["callers"] if each["name"] == caller]
    for each in entry["grants"]:
        named = set()
        for text in each["keys"]:
            word = text.removeprefix("keys/")
            named |= set(document["aliases"].get(word, [text]))
        if str(key) in named and algorithm.name in each.get("algorithms", [algorithm.name]):
            return True
    return False


@given(documents, st.sampled_from(CALLERS), st.sampled_from(KEYS), st.sampled_from(Algorithm))
def test_exactly_what_is_granted_is_allowed(document, caller, key, algorithm):
    verdict = rules(document).allows(caller, key, algorithm)
    assert (verdict is Verdict.ALLOWED) == granted(document, caller, key, algorithm)
    hidden = not any(granted(document, caller, key, each) for each in Algorithm)
    assert (verdict is Verdict.KEY_HIDDEN) == hidden


@given(documents, st.sampled_from(CALLERS), st.binary(min_size=32, max_size=32))
def test_a_hidden_key_and_an_unknown_one_get_the_same_answers(document, caller, fingerprint):
    policy = rules(document)
    unknown = KeyName(fingerprint)
    for key in KEYS:
        if policy.algorithms(caller, key):
            continue
        for ask in (
            lambda name: policy.allows(caller, name, Algorithm.ED25519),
            lambda name: policy.algorithms(caller, name),
            lambda name: policy.visible_keys(caller, [name]),
            lambda name: policy.aliases_of(name, caller),
        ):
            assert ask(key) == ask(unknown)


@given(documents, st.sampled_from(CALLERS), st.sampled_from(ALIASES))
def test_an_alias_shows_the_granted_keys_alone_and_in_its_order(document, caller, word):
    policy = rules(document)
    shown = policy.resolve(Alias(word), caller)
    named = [KeyName.parse(text) for text in document["aliases"][word]]
    assert shown == tuple(key for key in named if any(granted(document, caller, key, a) for a in Algorithm))
    if not shown:
        assert policy.resolve(Alias("unheard-of"), caller) == shown


@given(documents, st.sampled_from(CALLERS), st.sampled_from(KEYS))
def test_a_key_shows_its_aliases_to_whom_it_shows_itself(document, caller, key):
    policy = rules(document)
    aliases = policy.aliases_of(key, caller)
    if policy.algorithms(caller, key):
        assert {alias.word for alias in aliases} == {
            word for word, keys in document["aliases"].items() if str(key) in keys
        }
    else:
        assert aliases == ()


@given(st.sampled_from(KEYS), st.sampled_from(Algorithm))
def test_an_empty_policy_allows_nothing_to_nobody(key, algorithm):
    policy = Policy()
    assert policy.allows("one", key, algorithm) is Verdict.KEY_HIDDEN
    assert policy.principal(["dns:one.example"]) is None


def test_a_star_is_every_key_and_adds_up_with_other_grants():
    document = {
        "callers": [
            {
                "name": "one",
                "sans": ["dns:one.example"],
                "grants": [
                    {"keys": ["*"], "algorithms": ["RSA_PSS_SHA256"]},
                    {"keys": [str(KEYS[0])], "algorithms": ["ED25519"]},
                ],
            }
        ]
    }
    policy = rules(document)
    assert policy.algorithms("one", KEYS[0]) == {Algorithm.RSA_PSS_SHA256, Algorithm.ED25519}
    assert policy.algorithms("one", KEYS[1]) == {Algorithm.RSA_PSS_SHA256}
    assert policy.visible_keys("one", KEYS) == tuple(KEYS)
    assert policy.algorithms("two", KEYS[0]) == frozenset()


def test_roles_come_from_the_tables():
    people = {f"{role}s": [{"name": f"a-{role}", "sans": [f"email:{role}@example.org"]}] for role in Role}
    policy = rules(people)
    for role in Role:
        who = policy.principal([f"email:{role}@example.org"])
        assert (who.name, who.role, who.identity) == (f"a-{role}", role, f"email:{role}@example.org")
        assert not policy.algorithms(who.name, KEYS[0])


def test_names_of_two_principals_are_nobody():
    people = {
        "callers": [{"name": "one", "sans": ["dns:one.example", "dns:uno.example"]}],
        "officers": [{"name": "siti", "sans": ["dns:siti.example"]}],
    }
    policy = rules(people)
    assert policy.principal(["dns:one.example", "dns:siti.example"]) is None
    assert (
        policy.principal(["dns:nobody.example", "dns:uno.example", "dns:one.example"]).identity
        == "dns:uno.example"
    )
    assert policy.principal([]) is None


@given(st.text("dns:oe.xampl*OD \0\nä", max_size=40) | st.just("dns:one.example"))
def test_only_the_very_same_name_counts(text):
    policy = rules({"callers": [{"name": "one", "sans": ["dns:one.example"]}]})
    assert (policy.principal([text]) is not None) == (text == "dns:one.example")


def test_callers_stand_as_the_policy_says_and_else_alike():
    callers = [
        {"name": "one", "sans": ["dns:one.example"], "weight": 7, "max_priority": "low"},
        {"name": "two", "sans": ["dns:two.example"], "max_priority": "normal"},
        {"name": "three", "sans": ["dns:three.example"]},
    ]
    policy = rules({"callers": callers})
    assert [policy.weight(name) for name in (*CALLERS, "unheard-of")] == [7, 1, 1, 1]
    assert [policy.highest_priority(name) for name in (*CALLERS, "unheard-of")] == [
        Priority.LOW,
        Priority.NORMAL,
        Priority.INTERACTIVE,
        Priority.INTERACTIVE,
    ]


def test_a_key_that_fails_under_any_of_its_names_is_tried_once():
    a, b, c, d, e, _ = KEYS
    document = {
        "aliases": {"seal": [str(a), str(b)], "stamp": [str(b), str(c)], "sign": [str(e)]},
        "keys": {
            "seal": {"on_unknown": "retry"},
            "keys/stamp": {"on_unknown": "fail"},
            str(b): {"on_unknown": "retry"},
            str(d).removeprefix("keys/"): {"on_unknown": "fail"},
            "sign": {},
        },
    }
    policy = rules(document)
    assert [policy.attempts(key) for key in KEYS] == [3, 1, 1, 1, 3, 3]


def test_a_key_that_is_not_found_tells_nothing():
    fault = policies.key_not_found()
    assert (fault.text, fault.facts, fault.field) == ("No such key, or not granted to you.", {}, None)
