# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime as dt
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.errors import InvalidInput
from node.ports import Endpoint
from node.service.endpoint import build_endpoint, digest_tls_key
from tests.support.certificates import Authority
from tests.support.errors import raises_code


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("node").certificate.read_bytes()


def test_https_carries_the_digest_of_the_public_key(certificate):
    shown = x509.load_pem_x509_certificate(certificate)
    key = shown.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = build_endpoint("https://node.court.example:8620", certificate)
    assert found == Endpoint("https://node.court.example:8620", sha256(key).digest())


def test_a_renewed_certificate_with_the_same_key_changes_nothing(authority, certificate):
    shown = x509.load_pem_x509_certificate(certificate)
    renewed = (
        x509.CertificateBuilder()
        .subject_name(shown.subject)
        .issuer_name(shown.issuer)
        .public_key(shown.public_key())
        .serial_number(shown.serial_number + 1)
        .not_valid_before(shown.not_valid_before_utc)
        .not_valid_after(shown.not_valid_after_utc + dt.timedelta(days=365))
        .sign(authority._key, hashes.SHA256())
    )
    assert digest_tls_key(renewed.public_bytes(Encoding.PEM)) == digest_tls_key(certificate)
    assert digest_tls_key(authority.issue("other").certificate.read_bytes()) != digest_tls_key(certificate)


def test_of_a_chain_the_first_counts(authority, certificate):
    assert digest_tls_key(certificate + authority.ca.read_bytes()) == digest_tls_key(certificate)


@pytest.mark.parametrize(
    "url", ["https://a", "https://10.0.0.7:1", "https://[2001:db8::1]:65535", "https://a-b.c"]
)
def test_a_host_and_a_port_are_enough(url, certificate):
    assert build_endpoint(url, certificate).url == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:8620", "http://[::1]:1", "http://localhost:65535"])
def test_plain_http_stays_on_the_machine(url, certificate):
    assert build_endpoint(url, None) == Endpoint(url, None)
    with raises_code(InvalidInput, "public-certificate"):
        build_endpoint(url, certificate)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "ftp://a.example",
        "https://",
        "https://a.example/",
        "https://a.example/path",
        "https://user@a.example",
        "https://A.example",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:080",
        "https://-a.example",
        "https://a.example\n",
        "https://[::1",
        "https://" + "a" * 248,
        "http://a.example:80",
        "http://127.0.0.1",
        "http://127.0.0.2:80",
        "http://localhost:80/",
        "HTTP://localhost:80",
    ],
)
def test_other_urls_are_refused(url, certificate):
    for shown in (certificate, None):
        with raises_code(InvalidInput, "public-url"):
            build_endpoint(url, shown)


def test_https_without_a_certificate_is_refused():
    with raises_code(InvalidInput, "public-certificate"):
        build_endpoint("https://a.example", None)


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(content):
    with raises_code(InvalidInput, "public-certificate"):
        digest_tls_key(content)
