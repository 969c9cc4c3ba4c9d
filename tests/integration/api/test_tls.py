# SPDX-License-Identifier: Apache-2.0
"""HTTPS: what the server takes, what the client believes."""

import ssl
from contextlib import ExitStack, suppress

import pytest

from node.api.server import ServerLimits, build_tls
from node.client.api import NodeClient
from node.errors import AccessDenied, InvalidInput, Unavailable
from tests.support.certificates import Authority
from tests.support.errors import raises_code
from tests.support.http_server import PATIENT, Wire, get, listening
from tests.support.real_node import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority):
    return authority.issue("node")


@pytest.fixture(scope="module")
def port(world, files):
    with listening(world.app, PATIENT, build_tls(files.certificate, files.key)) as found:
        yield found


def digest_of(files):
    """The pin of a server with these files."""
    return build_tls(files.certificate, files.key).certificate


def test_a_client_that_knows_the_authority(world, port, authority):
    with NodeClient(f"https://127.0.0.1:{port}", world.tokens["operator"], tls_ca=authority.ca) as client:
        assert client.get("/healthz") == {"status": "ok"}
        assert len(client.get("/api/v1/imports")) == 1


def test_a_client_that_knows_it_not_sends_nothing(world, port):
    with (
        NodeClient(f"https://127.0.0.1:{port}", world.tokens["operator"]) as client,
        raises_code(AccessDenied, "node-certificate"),
    ):
        client.get("/healthz")


def test_a_certificate_for_another_address(world, authority):
    files = authority.issue("elsewhere", hosts=["10.9.8.7"])
    with listening(world.app, PATIENT, build_tls(files.certificate, files.key)) as port:
        url = f"https://127.0.0.1:{port}"
        with NodeClient(url, tls_ca=authority.ca) as client, raises_code(AccessDenied, "node-certificate"):
            client.get("/healthz")
        # On the node's own account its own certificate is known, whatever it says.
        with NodeClient(url, tls_pin=digest_of(files)) as client:
            assert client.get("/healthz") == {"status": "ok"}


def test_another_certificate_of_the_same_authority_is_not_the_pinned_one(world, port, authority, files):
    """Also when the file of the pinned one holds the authority's, as a server's does."""
    chain = authority.issue("other")
    chain.certificate.write_bytes(chain.certificate.read_bytes() + authority.ca.read_bytes())
    url = f"https://127.0.0.1:{port}"
    with NodeClient(url, tls_pin=digest_of(chain)) as client, raises_code(AccessDenied, "node-certificate"):
        client.get("/healthz")
    with (
        listening(world.app, PATIENT, build_tls(chain.certificate, chain.key)) as other,
        NodeClient(f"https://127.0.0.1:{other}", tls_pin=digest_of(chain)) as client,
    ):
        assert client.get("/healthz") == {"status": "ok"}
    with NodeClient(url, tls_pin=digest_of(files)) as client:
        assert client.get("/healthz") == {"status": "ok"}


def test_an_authority_file_that_is_none(tmp_path):
    for path in (tmp_path / "missing.pem", tmp_path):
        with raises_code(InvalidInput, "tls-ca"):
            NodeClient("https://127.0.0.1:1", tls_ca=path)
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    with raises_code(InvalidInput, "tls-ca"):
        NodeClient("https://127.0.0.1:1", tls_ca=empty)


def shake_hands(port, least, most):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = least, most
    with Wire(port) as wire, context.wrap_socket(wire.socket) as secured:
        secured.sendall(get("/healthz", "Connection: close").encode())
        data = b""
        while more := secured.recv(65_536):
            data += more
        return secured.version(), data.decode()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_versions_are_spoken(port, version):
    spoken, answer = shake_hands(port, version, version)
    assert spoken == version.name.replace("_", ".")
    assert answer.startswith("HTTP/1.1 200")
    assert "strict-transport-security: max-age=31536000" in answer.lower()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_not(port):
    with pytest.raises(ssl.SSLError):
        shake_hands(port, ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1)


def test_plain_http_to_the_secured_port_gets_no_answer(port, authority):
    with Wire(port) as wire:
        wire.send(get("/healthz"))
        assert wire.ended()
    with NodeClient(f"https://127.0.0.1:{port}", tls_ca=authority.ca) as client:
        assert client.get("/healthz") == {"status": "ok"}


def test_a_certificate_and_a_key_that_do_not_belong_together(authority, files):
    other = authority.issue("stranger")
    with raises_code(InvalidInput, "tls-certificate") as caught:
        build_tls(files.certificate, other.key)
    assert "node.pem and stranger.key" in caught.value.message


def test_a_key_with_a_passphrase_is_not_asked_for(authority):
    """A question on a terminal that nobody reads would be a node that does not start and does not say why."""
    locked = authority.issue("locked", passphrase=b"secret")
    with raises_code(InvalidInput, "tls-key-encrypted"):
        build_tls(locked.certificate, locked.key)


def test_files_that_are_no_pem(tmp_path, files):
    for content in (b"", b"\x00\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        wrong = tmp_path / "wrong.pem"
        wrong.write_bytes(content)
        with raises_code(InvalidInput, "tls-certificate"):
            build_tls(wrong, files.key)
        with raises_code(InvalidInput, "tls-certificate"):
            build_tls(files.certificate, wrong)


# ---- before TLS is agreed on


def test_connections_that_say_nothing_are_counted(world, files, authority):
    with listening(world.app, ServerLimits(600, 600, 5), build_tls(files.certificate, files.key)) as port:
        url = f"https://127.0.0.1:{port}"
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(Wire(port))
            for _ in range(50):
                with Wire(port) as late:
                    assert late.ended()
            with NodeClient(url, tls_ca=authority.ca) as client, raises_code(Unavailable, "node-away"):
                client.get("/healthz")
        with NodeClient(url, tls_ca=authority.ca) as client:
            # Once the server has seen that the five are gone.
            assert wait_until(lambda: client.get("/healthz"), "there is room again") == {"status": "ok"}


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01\x02\x00\x01", b"\x16"])
def test_a_handshake_that_stops_has_an_end(world, files, authority, start):
    limits = ServerLimits(timeout_seconds=1, idle_seconds=600, max_connections=2)
    with (
        listening(world.app, limits, build_tls(files.certificate, files.key)) as port,
        Wire(port) as first,
        Wire(port) as second,
    ):
        assert first.send(start).ended()
        assert second.send(start).ended()
        with NodeClient(f"https://127.0.0.1:{port}", tls_ca=authority.ca) as client:
            # The handshake of a busy caller may take too long, too.
            assert wait_until(lambda: client.get("/healthz"), "others are served") == {"status": "ok"}


def test_a_server_that_stops_waits_for_no_handshake(world, files):
    with (
        listening(world.app, ServerLimits(600, 600, 5), build_tls(files.certificate, files.key)) as port,
        Wire(port),
        Wire(port) as other,
    ):
        other.send(b"\x16\x03\x01")


def test_a_request_in_one_packet_with_the_end_of_the_handshake(port, authority):
    context = ssl.create_default_context(cafile=authority.ca)
    come, gone = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = context.wrap_bio(come, gone, server_hostname="127.0.0.1")
    with Wire(port) as wire:
        with pytest.raises(ssl.SSLWantReadError):
            secured.do_handshake()
        wire.send(gone.read())
        while True:
            come.write(wire.socket.recv(65_536))
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        secured.write(get("/healthz", "Connection: close").encode())
        wire.send(gone.read())
        answer = b""
        while not answer:
            come.write(wire.socket.recv(65_536))
            with suppress(ssl.SSLWantReadError):
                answer = secured.read()
        assert answer.startswith(b"HTTP/1.1 200")
