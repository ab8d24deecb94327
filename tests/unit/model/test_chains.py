"""Certificates are read to the end before anybody builds on them."""

import pytest
from cryptography import x509

from segeld.model.chains import OddCertificate, readable


def test_an_odd_certificate_says_why(odd_certificate: bytes) -> None:
    with pytest.raises(OddCertificate, match=r"^\w+: .+") as caught:
        readable(lambda: x509.load_der_x509_certificate(odd_certificate))
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_no_certificate_at_all() -> None:
    with pytest.raises(OddCertificate):
        readable(lambda: x509.load_der_x509_certificate(b""))
