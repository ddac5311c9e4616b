"""Providers over TLS whose certificate a private authority signed: `ca_file`."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGateway
from harness import openai_wire as wire
from harness.cli import run
from harness.gateway import Config, Gateway, binary, simple
from harness.receiver import Certificate, certificate
from harness.wire import Reply, call

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


class Secured:
    """A provider that speaks TLS alone, and counts the handshakes and the requests that it saw."""

    def __init__(self, files: Certificate) -> None:
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests += 1
                if asked.get("stream"):
                    body = b"".join(wire.events())
                    kind = "text/event-stream"
                else:
                    body, kind = json.dumps(wire.completion("over tls")).encode(), "application/json"
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.chain, files.key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.server.server_address[1]}/v1"


@pytest.fixture
def files(tmp_path: Path) -> Certificate:
    return certificate(tmp_path)


@pytest.fixture
def provider(files: Certificate) -> Iterator[Secured]:
    secured = Secured(files)
    yield secured
    secured.server.shutdown()
    secured.server.server_close()


def asked(served: Gateway, **more: Any) -> Reply:
    return call(served.url, "/v1/chat/completions", BODY | more, key=served.key)


def trusting(url: str, authority: Path) -> Config:
    return {"ca_file": str(authority)} | simple(url)


def test_a_private_authority_is_trusted_when_it_is_named(
    gateway: MakeGateway, provider: Secured, files: Certificate
) -> None:
    served = gateway(trusting(provider.url(), files.authority))
    whole = asked(served)
    assert whole.status == 200, whole.body
    assert whole.json["choices"][0]["message"]["content"] == "over tls"
    streamed = asked(served, stream=True)
    assert streamed.status == 200 and b"[DONE]" in streamed.body
    for _ in range(20):
        assert asked(served).status == 200
    assert provider.requests == 22


def test_an_authority_that_is_not_named_is_not_trusted(gateway: MakeGateway, provider: Secured) -> None:
    served = gateway(simple(provider.url()))
    refused = asked(served)
    assert refused.status in (502, 503), refused.body
    assert b"authority of the tests" not in refused.body and b"certificate" not in refused.body.lower()
    assert provider.requests == 0, "no credential was sent"


def test_a_certificate_for_another_name_is_refused(
    gateway: MakeGateway, provider: Secured, files: Certificate
) -> None:
    served = gateway(trusting(provider.url("localhost"), files.authority))
    assert asked(served).status in (502, 503)
    assert provider.requests == 0


def test_what_is_wrong_with_the_file_is_said(gateway: MakeGateway, tmp_path: Path) -> None:
    words = tmp_path / "words.pem"
    words.write_text("no certificate")
    for path, says in ((words, "there is no certificate in it"), (tmp_path / "none.pem", "cannot read")):
        served = gateway({"ca_file": str(path)} | simple("https://127.0.0.1:9/v1"), start=False)
        checked = run(served, "check", config=True)
        assert checked.code == 1 and says in checked.err and str(path) in checked.err, checked.all
        command = [binary(), "serve", "--config", str(served.config_file)]
        started = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert started.returncode == 1 and says in started.stderr, started.stderr
