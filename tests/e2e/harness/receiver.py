"""Receivers of events: an HTTP server that remembers, and a mail server."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .ports import reserved


class Delivery:
    """One request that a receiver got."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body


class Receiver:
    """Answers every POST with a status, once it may."""

    def __init__(self, status: int = 204, stalls: bool = False) -> None:
        self.status, self.may_answer = status, threading.Event()
        self.deliveries: list[Delivery] = []
        if not stalls:
            self.may_answer.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.deliveries.append(Delivery({k.lower(): v for k, v in self.headers.items()}, body))
                receiver.may_answer.wait()
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops it."""
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1, its key, and the authority that signed it."""

    chain: Path
    key: Path
    authority: Path


def certificate(folder: Path) -> Certificate:
    """Makes an authority, and a certificate that it signs."""
    now = datetime.datetime.now(datetime.UTC)

    def build(name: str, public: Any, issuer: str, signer: Any, *extensions: tuple[Any, bool]) -> x509.Certificate:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        built = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer)).public_key(public)
        built = built.serial_number(x509.random_serial_number())
        built = built.not_valid_before(now - datetime.timedelta(days=1))
        built = built.not_valid_after(now + datetime.timedelta(days=30))
        for extension, critical in extensions:
            built = built.add_extension(extension, critical)
        return built.sign(signer, hashes.SHA256())

    root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    constraints = (x509.BasicConstraints(ca=True, path_length=0), True)
    authority = build("authority of the tests", root.public_key(), "authority of the tests", root, constraints)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = build("mail of the tests", key.public_key(), "authority of the tests", root, (names, False))
    made = Certificate(folder / "mail.pem", folder / "mail.key", folder / "authority.pem")
    pem = serialization.Encoding.PEM
    made.chain.write_bytes(leaf.public_bytes(pem))
    made.authority.write_bytes(authority.public_bytes(pem))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    made.key.write_bytes(key.private_bytes(pem, form, plain))
    return made


class MailServer:
    """A mail server that keeps what it takes. With a login it wants STARTTLS and that login."""

    def __init__(self, files: Certificate | None = None, login: tuple[str, str] | None = None) -> None:
        self.messages: list[EmailMessage] = []
        self.receivers: list[list[str]] = []
        self.refuse: str | None = None
        self.logins: list[bool] = []
        more: dict[str, Any] = {}
        if files is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(files.chain, files.key)
            more |= {"tls_context": context, "require_starttls": True}
        if login is not None:
            more |= {"authenticator": self._authenticator(login), "auth_required": True}
        self.port = reserved()
        # Its own name would be looked up for every greeting, wherever names are looked up here.
        more |= {"server_hostname": "localhost", "ready_timeout": 60.0}
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **more)
        self.controller.start()

    def _authenticator(self, login: tuple[str, str]) -> Callable[..., AuthResult]:
        def check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
            assert isinstance(given, LoginPassword)
            good = (given.login.decode(), given.password.decode()) == login
            self.logins.append(good)
            return AuthResult(success=good)

        return check

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: list[str]) -> str:
        """Takes an address, or refuses it."""
        if self.refuse is not None:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keeps a message."""
        await asyncio.sleep(0)
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        self.receivers.append(list(envelope.rcpt_tos))
        return "250 OK"

    def close(self) -> None:
        """Stops it."""
        self.controller.stop()
