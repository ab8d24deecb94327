"""Subjects as openssl writes them."""

import contextlib

import pytest
from asn1crypto import x509
from hypothesis import given
from hypothesis import strategies as st

from segeld.office.subject import KINDS, BadSubject, parse, to_name, written

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=60)
_PLAIN = st.text("ABCxyz012 '()+,-./:=?", min_size=1, max_size=60).map(str.strip).filter(bool)


def _attribute(name: str) -> st.SearchStrategy[tuple[str, str]]:
    match KINDS[name].form, name:
        case _, "C":
            values = st.sampled_from(["ID", "TL", "SG"])
        case _, "emailAddress":
            values = st.just("segel+1@example.id")
        case _, "DC":
            values = st.from_regex("[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
        case "utf8_string", _:
            values = _TEXT
        case _:
            values = _PLAIN
    return values.map(lambda value: (name, value))


_RDNS = st.lists(
    st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.tuples(*map(_attribute, names))
    ),
    min_size=1,
    max_size=6,
).map(tuple)


@given(_RDNS)
def test_what_is_written_is_read_back(rdns):
    assert parse(written(rdns)) == rdns


@given(_RDNS)
def test_what_stands_in_the_request_is_what_was_asked_for(rdns):
    name = x509.Name.load(to_name(rdns).dump())
    found = [sorted((each["type"].dotted, each["value"].native) for each in rdn) for rdn in name.chosen]
    assert found == [sorted((KINDS[kind].oid, value) for kind, value in rdn) for rdn in rdns]


@pytest.mark.parametrize(
    "text", ["/DC=..", "/DC=a.b", "/DC=-a", "/emailAddress=a@b..c", "/emailAddress=a@", "/emailAddress=@b"]
)
def test_what_is_no_part_of_a_domain_name_is_refused(text):
    with pytest.raises(BadSubject):
        parse(f"/C=ID{text}")


@given(st.text(max_size=80))
def test_any_text_is_a_subject_or_a_fault(text):
    with contextlib.suppress(BadSubject):
        assert parse(written(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("name", "tag"),
    [("C", 19), ("serialNumber", 19), ("CN", 12), ("O", 12), ("emailAddress", 22), ("DC", 22)],
)
def test_values_have_the_string_type_of_their_attribute(name, tag):
    value = {"C": "ID", "emailAddress": "a@b.id"}.get(name, "x")
    whole = to_name(parse(f"/{name}={value}")).dump()
    assert bytes((tag, len(value))) + value.encode() in whole


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with /, for example /C=ID"),
        ("CN=x", "begins with /"),
        ("/", "'nothing' is no NAME=VALUE"),
        ("/CN", "'CN' is no NAME=VALUE"),
        ("/CN=x/", "'nothing' is no NAME=VALUE"),
        ("//CN=x", "'nothing' is no NAME=VALUE"),
        ("/O=a/b", "'b' is no NAME=VALUE; write \\\\/ and"),
        ("/O=a+b", "'b' is no NAME=VALUE"),
        ("/CN=x\\", "ends with a backslash"),
        ("/ZZ=x", "'ZZ' is no known attribute; there are C, ST, L"),
        ("/1.2.3=x", "no known attribute"),
        ("/=x", "no known attribute"),
        ("/C=IDN", "C has 3 characters; 2 is the limit"),
        ("/C=id", "two capital letters .ISO 3166., such as ID"),
        ("/C=I", "two capital letters"),
        ("/C=\u00cfD", "two capital letters"),
        ("/CN=", "CN is empty; leave it out"),
        ("/CN=   ", "CN is empty"),
        ("/CN= x", "begins or ends with a space"),
        ("/CN=x\u00a0", "begins or ends with a space"),
        ("/CN=" + "x" * 65, "CN has 65 characters; 64 is the limit"),
        ("/ST=" + "x" * 129, "ST has 129 characters; 128 is the limit"),
        ("/CN=x" * 410, "2050 characters; 2048 is the limit"),
        ("/CN=a\nb", "cannot be printed"),
        ("/CN=a\0b", "cannot be printed"),
        ("/CN=a\x1b[31mb", "cannot be printed"),
        ("/CN=a\u202eb", "cannot be printed"),
        ("/CN=a\u200bb", "cannot be printed"),
        ("/CN=\ud800", "cannot be printed"),
        ("/CN=a+CN=b", "CN stands twice"),
        ("/CN=a+commonName=b", "CN stands twice"),
        ("/serialNumber=1_2", "serialNumber may hold"),
        ("/serialNumber=\u0661", "serialNumber may hold"),
        ("/DC=b\u00fccher", "DC may hold ASCII only"),
        ("/emailAddress=s\u00e9al@x.id", "emailAddress may hold ASCII only"),
        ("/emailAddress=seal", "is no mail address"),
    ],
)
def test_a_bad_subject_is_refused_and_says_where(text, why):
    with pytest.raises(BadSubject, match=why):
        parse(text)


def test_the_longest_names_are_taken():
    text = "/ST=" + "\u00e9" * 128 + "/O=" + "\u5370" * 64 + "/CN=" + "x" * 64
    assert [len(value) for ((_, value),) in parse(text)] == [128, 64, 64]
