"""A scripted upstream: raw sockets, exact bytes, and a journal of everything it was asked and what it sent.

A script is a function from a request to steps. A step is bytes to write or one of the small classes below. Nothing
is added to what a script writes, so framing faults, cuts, stalls and resets are all just steps.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union


@dataclass
class Sleep:
    """Waits."""

    seconds: float


@dataclass
class Wait:
    """Waits until the test sets the event."""

    event: threading.Event


class Taken:
    """Waits until the other side has read all that was sent, so that what comes next comes by itself."""


class Hang:
    """Sends nothing more and never closes."""


class Close:
    """Closes the connection at once, whatever was promised."""


class Reset:
    """Ends the connection with RST instead of FIN."""


Step = Union[bytes, Sleep, Wait, Taken, Hang, Close, Reset]


@dataclass
class Request:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next((v for k, v in self.headers if k.lower() == name), None)

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


Script = Callable[[Request], Iterable[Step]]


@dataclass
class Served:
    """A journal line: one request, what was sent, how it ended."""

    request: Request
    started: float
    sent: int = 0
    completed: bool = False
    client_gone: bool = False
    ended: float | None = None
    note: dict[str, Any] = field(default_factory=dict)


REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many"}


def head(status: int, headers: dict[str, str]) -> bytes:
    """A response head with exactly these headers."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def chunk(data: bytes) -> bytes:
    """One chunk of chunked transfer coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def reply(status: int, body: bytes, headers: dict[str, str] | None = None) -> list[Step]:
    """A buffered response."""
    fields = {"content-type": "application/json"} | (headers or {}) | {"content-length": str(len(body))}
    return [head(status, fields) + body]


def reply_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> list[Step]:
    """A buffered JSON response."""
    return reply(status, json.dumps(value).encode(), headers)


def stream_head(headers: dict[str, str] | None = None, status: int = 200) -> bytes:
    """The head of a chunked event stream."""
    return head(status, {"content-type": "text/event-stream"} | (headers or {}) | {"transfer-encoding": "chunked"})


def stream(pieces: Iterable[bytes], headers: dict[str, str] | None = None) -> list[Step]:
    """A chunked event stream, one network chunk per piece."""
    return [stream_head(headers), *[chunk(p) for p in pieces if p], LAST_CHUNK]


class Upstream:
    """Serves scripts on a loopback port, from a thread with an event loop of its own."""

    def __init__(self, script: Script | None = None) -> None:
        self.script: Script = script or (lambda _request: reply_json({"error": {"message": "no script"}}, 500))
        self.journal: list[Served] = []
        self.connections = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The address that a client of the OpenAI API is given."""
        return self.url + "/v1"

    @property
    def last(self) -> Served:
        """The newest journal line."""
        return self.journal[-1]

    def wait(self, condition: Callable[[Served], Any], seconds: float = 20.0) -> Served:
        """Waits until the journal holds a line for which the condition holds; the journal is written by another thread."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := next((served for served in self.journal if condition(served)), None):
                return found
            time.sleep(0.005)
        raise AssertionError(f"not in the journal after {seconds} s: {self.journal[-3:]}")

    def close(self) -> None:
        """Stops serving and drops every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = _Wire(reader, writer)
        try:
            while (request := await wire.request()) is not None:
                if not await self._answer(wire, request):
                    break
        except (ConnectionError, asyncio.CancelledError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, wire: _Wire, request: Request) -> bool:
        served = Served(request, time.monotonic())
        self.journal.append(served)
        sending = asyncio.ensure_future(self._send(wire, self.script(request), served))
        leaving = asyncio.ensure_future(wire.gone())
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        served.client_gone = not sending.done()
        for task in (sending, leaving):
            if not task.done():
                task.cancel()
        results = await asyncio.gather(sending, leaving, return_exceptions=True)
        served.ended = time.monotonic()
        if isinstance(results[0], ConnectionError):
            served.client_gone = True
        return results[0] is True

    async def _send(self, wire: _Wire, steps: Iterable[Step], served: Served) -> bool:
        for step in steps:
            match step:
                case bytes():
                    wire.writer.write(step)
                    await wire.writer.drain()
                    served.sent += len(step)
                case Sleep():
                    await asyncio.sleep(step.seconds)
                case Wait():
                    while not step.event.is_set():
                        await asyncio.sleep(0.005)
                case Taken():
                    while not wire.taken():
                        await asyncio.sleep(0.005)
                case Hang():
                    await asyncio.Event().wait()
                case Close():
                    wire.writer.transport.close()
                    return False
                case Reset():
                    sock = wire.writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    wire.writer.transport.abort()
                    return False
        served.completed = True
        return True


class _Wire:
    """One connection with a buffer of its own, so that the end of the client is seen while a reply is under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.buffer = b""
        self.eof = False

    async def _fill(self) -> None:
        data = await self.reader.read(1 << 16)
        self.eof = self.eof or not data
        self.buffer += data

    async def _until(self, mark: bytes) -> bytes | None:
        while mark not in self.buffer:
            if self.eof:
                return None
            await self._fill()
        line, self.buffer = self.buffer.split(mark, 1)
        return line

    async def _exactly(self, count: int) -> bytes:
        while len(self.buffer) < count and not self.eof:
            await self._fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    async def request(self) -> Request | None:
        """The next request; None when the client is done."""
        raw = await self._until(b"\r\n\r\n")
        if raw is None:
            return None
        first, *lines = raw.decode("latin-1").split("\r\n")
        method, path, _version = first.split(" ", 2)
        headers = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        request = Request(method, path, headers)
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            request.body = await self._chunked()
        else:
            request.body = await self._exactly(int(request.header("content-length") or 0))
        return request

    async def _chunked(self) -> bytes:
        body = b""
        while True:
            size = int((await self._until(b"\r\n") or b"0").split(b";")[0], 16)
            if size == 0:
                while await self._until(b"\r\n"):
                    pass
                return body
            body += await self._exactly(size)
            await self._until(b"\r\n")

    def taken(self) -> bool:
        """Whether the client has read everything that was sent; its socket is one of this machine."""
        ours, theirs = (self.writer.get_extra_info(name) for name in ("sockname", "peername"))
        if self.writer.transport.get_write_buffer_size() or _unread(ours, theirs, sent=True):
            return False
        return not _unread(theirs, ours, sent=False)

    async def gone(self) -> None:
        """Returns when the client has closed its side."""
        while not self.eof:
            try:
                await self._fill()
            except ConnectionError:
                self.eof = True


def _unread(local: tuple[str, int], remote: tuple[str, int], sent: bool) -> int:
    """How many bytes wait in the kernel at one end of a connection over IPv4: that were sent, or to be read."""

    def written(address: tuple[str, int]) -> str:
        number = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)
        return f"{number:08X}:{address[1]:04X}"

    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == [written(local), written(remote)]:
            return int(fields[4].split(":")[0 if sent else 1], 16)
    return 0
