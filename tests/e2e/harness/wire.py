"""Raw HTTP/1.1 from the client's side: what is sent is exactly what the test wrote, what came back is kept byte by byte."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Reply:
    """A response: the head, the body without its transfer coding, and whether it ended as it promised."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    whole: bool = False
    chunks: list[bytes] = field(default_factory=list)
    rest: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next((v for k, v in self.headers if k.lower() == name), None)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def events(self) -> list[bytes]:
        """The data of every server-sent event, in order."""
        return sse_data(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of an OpenAI-shaped error body."""
        return self.json["error"]


def sse_data(body: bytes) -> list[bytes]:
    """The data of each event; the lines of one event are joined, as the specification says."""
    text = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    out = []
    for block in text.split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
        if lines:
            out.append(b"\n".join(lines))
    return out


class Connection:
    """One client connection."""

    def __init__(self, url: str, timeout: float = 20.0) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends bytes; a peer that has already refused and closed is no error here, its answer is still to be read."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _more(self) -> bool:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def read_until(self, mark: bytes) -> bytes | None:
        """Reads up to and with a mark; None when the connection ends before."""
        while mark not in self.buffer:
            if not self._more():
                return None
        at = self.buffer.index(mark) + len(mark)
        out, self.buffer = self.buffer[:at], self.buffer[at:]
        return out

    def head(self) -> Reply | None:
        """Reads a response head; None when the connection ends without one."""
        raw = self.read_until(b"\r\n\r\n")
        if raw is None:
            return None
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        return Reply(int(first.split(" ")[1]), headers)

    def chunk(self) -> bytes | None:
        """Reads one chunk of a chunked body; b"" is the last one, None a broken end."""
        line = self.read_until(b"\r\n")
        if line is None:
            return None
        size = int(line.split(b";")[0], 16)
        while len(self.buffer) < size + 2:
            if not self._more():
                return None
        data, self.buffer = self.buffer[:size], self.buffer[size + 2 :]
        return data

    def reply(self, method: str = "POST") -> Reply | None:
        """Reads a whole response; None when the connection ends without a head."""
        reply = self.head()
        while reply is not None and 100 <= reply.status < 200 and reply.status != 101:
            reply = self.head()
        if reply is None:
            return None
        if method == "HEAD" or reply.status in (204, 304):
            reply.whole = True
        elif (reply.header("transfer-encoding") or "").lower() == "chunked":
            while (data := self.chunk()) is not None:
                if not data:
                    reply.whole = True
                    break
                reply.chunks.append(data)
            reply.body = b"".join(reply.chunks)
        elif (length := reply.header("content-length")) is not None:
            while len(self.buffer) < int(length) and self._more():
                pass
            reply.body, self.buffer = self.buffer[: int(length)], self.buffer[int(length) :]
            reply.whole = len(reply.body) == int(length)
        else:
            while self._more():
                pass
            reply.body, self.buffer, reply.whole = self.buffer, b"", True
        return reply

    def closed_within(self, seconds: float) -> bool:
        """Tells whether the peer closes the connection in time; what it still sends stays in the buffer."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self._more():
                    return True
            except TimeoutError:
                break
        return False


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"", host: str = "localhost") -> bytes:
    """A well-formed request."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *[f"{k}: {v}" for k, v in headers.items()]]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def call(
    url: str,
    path: str,
    body: Any = None,
    key: str | None = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
    timeout: float = 20.0,
) -> Reply:
    """One request on a connection of its own. A body that is not bytes is sent as JSON."""
    method = method or ("GET" if body is None else "POST")
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content-type": "application/json"} if data else {}
    if key is not None:
        fields["authorization"] = f"Bearer {key}"
    with Connection(url, timeout) as connection:
        connection.send(request_bytes(method, path, fields | (headers or {}) | {"connection": "close"}, data))
        reply = connection.reply(method)
    assert reply is not None, f"{method} {path}: the connection ended without an answer"
    return reply
