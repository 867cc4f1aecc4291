"""What is certain about a request without an answer: real sockets, each wrong in its own way."""

import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from florin.adapters.http import ANSWER_BYTES_MAX, Answer, Endpoint, Timeouts
from florin.domain.provider import NotAttempted, Unknown
from tests.support.sockets import (
    Behaviour,
    answer,
    closed_port,
    dripping,
    full_house,
    late,
    raw,
    reset,
    rogue,
    silent,
    whole_request,
)

SOON = Timeouts(connect_s=0.2, total_s=0.4)
PATIENCE_S = 2.0
OK = b"HTTP/1.1 200 OK\r\n"


def send(
    url: str, tls: ssl.SSLContext | None = None, timeouts: Timeouts | None = None
) -> Answer | NotAttempted | Unknown:
    return Endpoint(url, {"X-Tag": "silk"}, timeouts, tls).send("POST", "/v1/x", {"amount": 1})


# Answers.


def test_a_request_arrives_as_it_was_meant() -> None:
    with rogue(answer(200, b"{}")) as server:
        endpoint = Endpoint(f"{server.url}/stage/", {"X-Tag": "silk"})
        endpoint.send("POST", "/v1/x?a=b%3Ac", {"amount": 1}, {"Idempotency-Key": "k-1"})
        endpoint.send("GET", "/v1/y")
    posted, got = server.heard
    head, _, body = posted.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /stage/v1/x?a=b%3Ac HTTP/1.1"
    assert {b"X-Tag: silk", b"Idempotency-Key: k-1", b"Content-Type: application/json"} <= {*lines}
    assert b"Connection: close" in lines
    assert json.loads(body) == {"amount": 1}
    assert got.startswith(b"GET /stage/v1/y HTTP/1.1\r\n")
    assert got.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [200, 201, 402, 404, 429, 500, 503])
def test_every_whole_answer_is_an_answer(status: int) -> None:
    with rogue(answer(status, b'{"a": 1}')) as server:
        answered = send(server.url)
    assert answered == Answer(status=status, body=b'{"a": 1}')
    assert isinstance(answered, Answer)
    assert answered.fields == {"a": 1}


def test_an_answer_may_take_longer_than_a_connection() -> None:
    patient = Timeouts(connect_s=0.1)
    with rogue(late(0.2, answer(200, b"{}"))) as server:
        assert send(server.url, timeouts=patient) == Answer(status=200, body=b"{}")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"1", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_is_no_json_object_has_no_fields(body: bytes) -> None:
    assert Answer(status=200, body=body).fields == {}


def test_a_redirect_is_not_followed() -> None:
    with rogue(answer(200, b"{}")) as elsewhere:
        location = f"Location: {elsewhere.url}/\r\n".encode()
        with rogue(answer(307, b"", extra=location)) as server:
            answered = send(server.url)
        assert isinstance(answered, Answer)
        assert answered.status == 307
    assert elsewhere.heard == []


# Nothing was sent.


def test_a_closed_port() -> None:
    assert send(f"http://127.0.0.1:{closed_port()}") == NotAttempted(reason="not_connected")


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert send("http://provider.invalid") == NotAttempted(reason="name_not_resolved")


def test_a_connection_that_never_stands() -> None:
    with full_house() as port:
        begun = time.monotonic()
        outcome = send(f"http://127.0.0.1:{port}", timeouts=SOON)
    assert outcome == NotAttempted(reason="connect_timeout")
    assert time.monotonic() - begun < PATIENCE_S


def test_a_connection_that_stands_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when each of many addresses takes its time: then the request is not even begun."""
    create, late_s = socket.getaddrinfo, SOON.total_s + 0.1

    def slow(*args: object, **kwargs: object) -> object:
        time.sleep(late_s)
        return create(*args, **kwargs)  # type: ignore[arg-type]  # handed through as they came

    with rogue(answer(200, b"{}")) as server:
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        outcome = send(server.url, timeouts=SOON)
        monkeypatch.undo()
    assert outcome == NotAttempted(reason="connect_timeout")
    assert server.heard in ([], [b""])


def test_a_name_that_nobody_ever_resolves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver has no timeout of its own. Who comes back from it too late says nothing."""
    resolve, asked, let_go = socket.getaddrinfo, threading.Event(), threading.Event()

    def stuck(*args: object, **kwargs: object) -> object:
        asked.set()
        assert let_go.wait(5 * PATIENCE_S)
        return resolve(*args, **kwargs)  # type: ignore[arg-type]  # handed through as they came

    with rogue(answer(200, b"{}")) as server:
        monkeypatch.setattr(socket, "getaddrinfo", stuck)
        outcome = send(server.url, timeouts=SOON)
        assert outcome == NotAttempted(reason="connect_timeout")
        (connecting,) = (one for one in threading.enumerate() if one.name == "connect")
        assert asked.is_set()
        assert connecting.is_alive(), "nobody waited for it"

        monkeypatch.undo()
        let_go.set()
        connecting.join(PATIENCE_S)
        assert send(server.url) == Answer(status=200, body=b"{}")
    too_late, in_time = server.heard
    assert too_late == b"", "connected, and closed without a word"
    assert in_time.startswith(b"POST /v1/x ")


def test_a_server_that_speaks_no_tls() -> None:
    with rogue(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        outcome = send(server.url.replace("http", "https"))
    assert outcome == NotAttempted(reason="tls_handshake_failed")
    assert b"POST" not in server.heard[0]


def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (url, _, heard):
        outcome = send(url)
    assert outcome == NotAttempted(reason="tls_handshake_failed")
    assert heard == []


def test_a_certificate_of_somebody_else(tmp_path: Path) -> None:
    with tls_server(tmp_path, names=[x509.DNSName("somebody.else")]) as (url, trust, heard):
        outcome = send(url, trust)
    assert outcome == NotAttempted(reason="tls_handshake_failed")
    assert heard == []


# Something may have been sent.


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(silent, id="silent"),
        pytest.param(dripping(b""), id="drips-status"),
        pytest.param(dripping(OK + b"X-A: "), id="drips-header"),
        pytest.param(dripping(OK + b"Content-Length: 99999\r\n\r\n"), id="drips-body"),
        pytest.param(dripping(OK + b"\r\n"), id="drips-body-without-length"),
    ],
)
def test_an_answer_that_does_not_come_in_time(behaviour: Behaviour) -> None:
    begun = time.monotonic()
    with rogue(behaviour) as server:
        outcome = send(server.url, timeouts=SOON)
        took_s = time.monotonic() - begun
    assert outcome == Unknown(reason="timeout")
    assert took_s < PATIENCE_S
    assert len(server.heard) == 1, "a request is sent once"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        pytest.param(raw(), "no_answer: RemoteDisconnected", id="closes"),
        pytest.param(reset, "no_answer: ConnectionResetError", id="resets"),
        pytest.param(answer(200, b"{", 9), "no_answer: ProtocolError", id="half-a-body"),
        pytest.param(answer(402, b"{", 9), "no_answer: ProtocolError", id="half-a-decline"),
        pytest.param(
            raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
            "no_answer: ProtocolError",
            id="half-a-chunk",
        ),
        pytest.param(raw(b"220 mail.example ESMTP\r\n"), "no_answer: BadStatusLine", id="no-http"),
        pytest.param(answer(200, b"a" * (ANSWER_BYTES_MAX + 1)), "answer_too_long", id="too-long"),
    ],
)
def test_no_answer_after_the_request(behaviour: Behaviour, reason: str) -> None:
    with rogue(behaviour) as server:
        outcome = send(server.url)
    assert outcome == Unknown(reason=reason)
    assert len(server.heard) == 1, "a request is sent once"
    assert server.heard[0].startswith(b"POST /v1/x ")


def test_nothing_is_left_waiting_after_an_answer() -> None:
    with rogue(answer(200, b"{}")) as server:
        send(server.url)
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert all(timer.finished.is_set() for timer in timers)


# TLS.


@contextmanager
def tls_server(
    folder: Path, names: list[x509.GeneralName] | None = None
) -> Iterator[tuple[str, ssl.SSLContext, list[bytes]]]:
    """A server that answers every request; its URL, who trusts it, and what it heard."""
    certificate = self_signed(folder, names or [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            heard.append(whole_request(secured))  # what is left unread resets the connection
            secured.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    behave(connection, threading.Event())
                except OSError:
                    return  # the client did not like the certificate

        thread = threading.Thread(target=serve)
        thread.start()
        trust = ssl.create_default_context(cafile=certificate)
        yield f"https://127.0.0.1:{server.getsockname()[1]}", trust, heard
        thread.join()


def self_signed(folder: Path, names: list[x509.GeneralName]) -> Path:
    """A key and a certificate for these names in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


def test_a_provider_is_reached_over_tls(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (url, trust, heard):
        outcome = send(url, trust)
    assert outcome == Answer(status=200, body=b"{}")
    assert heard[0].startswith(b"POST /v1/x ")


@pytest.mark.parametrize("url", ["", "provider.example", "ftp://provider.example", "https://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="not the address of an HTTP API"):
        Endpoint(url, {})
