"""What two policies say of aliases, and of keys whoever uses them."""

from collections.abc import Iterator, Mapping

from segeld.model.names import Alias, KeyName
from segeld.policy.key_options import KeyOptions
from segeld.policy.key_words import KeyWords
from segeld.policy.line import Difference, narrower, wider
from segeld.policy.rules import Policy

_LOOSE: Mapping[str, str] = {
    "repeated": "is tried again after an attempt whose outcome is unknown",
    "bulk": "may be used by jobs, even if it asks for its PIN at every signature",
    "without_certificate": "signs without a certificate",
    "expired": "signs with a certificate that is over",
    "revoked": "signs with a certificate that was revoked",
}
_STRICT: Mapping[str, str] = {
    "repeated": "is not tried again after an attempt whose outcome is unknown",
    "bulk": "is not used by jobs if it asks for its PIN at every signature",
    "without_certificate": "does not sign without a certificate",
    "expired": "does not sign with a certificate that is over",
    "revoked": "does not sign with a certificate that was revoked",
}


def alias_differences(
    before: Mapping[Alias, tuple[KeyName, ...]], after: Mapping[Alias, tuple[KeyName, ...]]
) -> Iterator[Difference]:
    for alias in sorted(before.keys() | after.keys()):
        old, new = before.get(alias, ()), after.get(alias, ())
        for key in new:
            if key not in old:
                yield wider(f"{alias} stands for {key} too" if old else f"{alias} stands for {key}")
        for key in old:
            if key not in new:
                yield narrower(f"{alias} does not stand for {key} any more")
        kept = [key for key in old if key in new]
        if kept != [key for key in new if key in old]:
            yield narrower(f"{alias} tries its keys in another order: {', '.join(map(str, new))}")


def option_differences(before: Policy, after: Policy) -> Iterator[Difference]:
    words = KeyWords(before, after)
    yield from _options("a key of which nothing else is said", before.default_options, after.default_options)
    for key in sorted(before.options.keys() | after.options.keys()):
        old, new = before.options_of(key), after.options_of(key)
        if (old, new) != (before.default_options, after.default_options):
            yield from _options(words.of(key), old, new)


def _options(key: str, old: KeyOptions, new: KeyOptions) -> Iterator[Difference]:
    for name, text in _LOOSE.items():
        if getattr(new, name) and not getattr(old, name):
            yield wider(f"{key} {text}")
        elif getattr(old, name) and not getattr(new, name):
            yield narrower(f"{key} {_STRICT[name]}")
