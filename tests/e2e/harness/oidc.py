"""OpenID providers for the tests: a real one, one that lies as it is told, and a browser that follows redirects."""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import node

CLIENT = {"client_id": "crossway", "client_secret": "client secret+of:the test"}


class Answer:
    """A response, with its body."""

    def __init__(self, url: str, response: http.client.HTTPResponse) -> None:
        self.url, self.status = url, response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def location(self) -> str:
        """Where it leads."""
        return urljoin(self.url, self.headers["location"])

    @property
    def query(self) -> dict[str, str]:
        """The query of where it leads."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.location).query).items()}


class Browser:
    """Keeps cookies by host and port, and follows redirects only when it is told to."""

    def __init__(self, source: str = "127.0.0.1") -> None:
        self.source = source
        self.cookies: dict[str, dict[str, str]] = {}

    def ask(self, url: str, form: dict[str, str] | None = None) -> Answer:
        """One request."""
        parts = urlsplit(url)
        jar = self.cookies.setdefault(parts.netloc, {})
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        body = None
        if form is not None:
            body, headers["content-type"] = urlencode(form), "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, 20, source_address=(self.source, 0))
        connection.request("GET" if form is None else "POST", f"{parts.path or '/'}?{parts.query}", body, headers)
        answer = Answer(url, connection.getresponse())
        connection.close()
        for line in answer.headers.get_all("set-cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            if re.search(r"; max-age=0\b|; expires=Thu, 01 Jan 1970", line, re.IGNORECASE):
                jar.pop(name, None)
            else:
                jar[name] = value
        return answer

    def follow(self, answer: Answer, until: Callable[[str], bool]) -> Answer:
        """Follows redirects to the first address that is the last one."""
        while 300 <= answer.status < 400 and not until(answer.location):
            answer = self.ask(answer.location)
        return answer


class RealProvider:
    """npm `oidc-provider`, walked through as a person does: a form to sign in, a form to consent."""

    def __init__(self, port: int, redirect_uri: str, people: dict[str, dict[str, Any]]) -> None:
        client = CLIENT | {"redirect_uris": [redirect_uri]}
        given = json.dumps({"port": port, "client": client, "people": people})
        script = Path(__file__).resolve().parents[1] / "node" / "oidc.mjs"
        command = [node.binary(), str(script), given]
        self.process = subprocess.Popen(
            command, env=node.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self.process.stdout is not None
        seen = []
        for raw in self.process.stdout:
            seen.append(raw.decode())
            if found := re.match(r"issuer (\S+)", seen[-1]):
                self.issuer = found[1]
                break
        else:
            raise AssertionError("".join(seen))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait(10)

    def walk(self, browser: Browser, url: str, who: str, callback: str) -> str:
        """Signs somebody in and returns the address to which the provider sends the browser back."""
        answer = browser.follow(browser.ask(url), lambda to: to.startswith(callback))
        for _ in range(4):
            if 300 <= answer.status < 400:
                return answer.location
            page = answer.body.decode()
            action = re.search(r'<form[^>]*action="([^"]+)"', page)
            prompt = re.search(r'name="prompt" value="(\w+)"', page)
            assert action and prompt, page
            form = {"prompt": prompt[1], "login": who, "password": "x"}
            sent = browser.ask(urljoin(answer.url, action[1]), form)
            answer = browser.follow(sent, lambda to: to.startswith(callback))
        raise AssertionError("no end to the forms")


def b64(data: bytes) -> str:
    """Base64 as tokens have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class LyingProvider:
    """A provider with keys of its own that puts into its tokens what a test wants."""

    def __init__(self) -> None:
        self.key, self.stranger = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self.token = ""
        self.asked: list[dict[str, str]] = []
        self.codes: set[str] = set()
        self.key_requests = 0
        handler = type("Handler", (_Handler,), {"provider": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()

    def claims(self, nonce: str, /, **changes: Any) -> dict[str, Any]:
        """What a good token says, with changes; None leaves a claim out."""
        now = int(time.time())
        good: dict[str, Any] = {"iss": self.issuer, "aud": CLIENT["client_id"], "sub": "s1", "nonce": nonce, "iat": now}
        good |= {"exp": now + 300, "email": "eve@x.test", "email_verified": True}
        return {name: value for name, value in (good | changes).items() if value is not None}

    def sign(self, claims: dict[str, Any], header: dict[str, Any] | None = None, stranger: bool = False) -> str:
        """A token, signed with the right key or with a stranger's."""
        head = {"alg": "RS256", "kid": "k1"} | (header or {})
        text = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
        key = self.stranger if stranger else self.key
        return f"{text}.{b64(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


class _Handler(http.server.BaseHTTPRequestHandler):
    provider: LyingProvider

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        provider = self.provider
        if self.path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
            self._answer({"issuer": provider.issuer} | {k: f"{provider.issuer}/{v}" for k, v in names.items()})
        elif self.path == "/jwks":
            provider.key_requests += 1
            numbers = provider.key.public_key().public_numbers()
            modulus, exponent = numbers.n.to_bytes(256, "big"), b"\x01\x00\x01"
            self._answer({"keys": [{"kty": "RSA", "kid": "k1", "n": b64(modulus), "e": b64(exponent)}]})
        else:
            self._answer({"error": "not_found"}, 404)

    def do_POST(self) -> None:
        provider = self.provider
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        provider.asked.append(asked | {"authorization": self.headers["authorization"] or ""})
        if asked["code"] in provider.codes:
            self._answer({"error": "invalid_grant"}, 400)
            return
        provider.codes.add(asked["code"])
        self._answer({"access_token": "a", "token_type": "Bearer", "id_token": provider.token})

    def _answer(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
