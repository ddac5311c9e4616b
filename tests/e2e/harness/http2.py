"""Raw HTTP/2 from the client's side: frames are exactly what the test wrote, what came back is kept frame by frame."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

CODES = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR "
    "REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
).split()

Fields = list[tuple[str, str]]


@dataclass
class Answer:
    """What came on one stream."""

    status: int
    headers: Fields
    body: bytes
    ended: bool


class Http2:
    """One client connection. It opens windows as wide as they go, so that nothing waits for them."""

    def __init__(self, url: str, key: str, settings: dict[int, int] | None = None, timeout: float = 20.0) -> None:
        parts = urlsplit(url)
        self.authority, self.key = parts.netloc, key
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.closed = False
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        wide = {SettingsFrame.INITIAL_WINDOW_SIZE: 2**31 - 1}
        self.raw(PREFACE)
        self.send(SettingsFrame(0, settings=wide if settings is None else settings))
        self.send(WindowUpdateFrame(0, window_increment=2**31 - 1 - 65_535))

    def __enter__(self) -> Http2:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def raw(self, data: bytes) -> None:
        """Sends bytes; a peer that has already closed is no error here, its last frames are still to be read."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, *frames: Frame) -> None:
        """Sends frames in one write."""
        self.raw(b"".join(frame.serialize() for frame in frames))

    def fields(self, path: str = "/v1/chat/completions", method: str = "POST", more: Fields | None = None) -> Fields:
        """The fields of a request with a key."""
        pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", self.authority)]
        return pseudo + [("authorization", f"Bearer {self.key}"), ("content-type", "application/json"), *(more or [])]

    def block(self, fields: Fields) -> bytes:
        """A header block. Names are encoded as they are."""
        return self.encoder.encode(fields, huffman=False)

    def head(self, stream: int, fields: Fields | None = None, flags: tuple[str, ...] = ("END_HEADERS",)) -> HeadersFrame:
        """The frame that begins a request."""
        return HeadersFrame(stream, data=self.block(self.fields() if fields is None else fields), flags=list(flags))

    def ask(self, stream: int, body: bytes, fields: Fields | None = None) -> None:
        """Sends a whole request."""
        block = self.block(self.fields() if fields is None else fields)
        parts = [block[at : at + 16_384] for at in range(0, len(block), 16_384)]
        frames: list[Frame] = [HeadersFrame(stream, data=parts[0])]
        frames += [ContinuationFrame(stream, data=part) for part in parts[1:]]
        frames[-1].flags.add("END_HEADERS")
        pieces = [body[at : at + 16_384] for at in range(0, len(body), 16_384)] or [b""]
        frames += [DataFrame(stream, data=piece) for piece in pieces]
        frames[-1].flags.add("END_STREAM")
        self.send(*frames)

    def frame(self, seconds: float = 20.0) -> Frame | None:
        """The next frame; None when the connection ends, or none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            if len(self.buffer) >= 9:
                length = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) >= 9 + length:
                    found, _ = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                    found.parse_body(memoryview(self.buffer[9 : 9 + length]))
                    self.buffer = self.buffer[9 + length :]
                    if isinstance(found, SettingsFrame) and "ACK" not in found.flags:
                        self.send(SettingsFrame(0, flags=["ACK"]))
                    elif isinstance(found, PingFrame) and "ACK" not in found.flags:
                        self.send(PingFrame(0, opaque_data=found.opaque_data, flags=["ACK"]))
                    return found
            left = deadline - time.monotonic()
            if left <= 0 or self.closed:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                return None
            except ConnectionResetError:
                data = b""
            self.buffer += data
            self.closed = not data

    def verdict(self) -> str:
        """Reads until the peer says what is wrong: `goaway CODE`, `reset CODE`, else `closed` or `nothing`."""
        while (frame := self.frame()) is not None:
            if isinstance(frame, GoAwayFrame):
                return f"goaway {CODES[frame.error_code]}"
            if isinstance(frame, RstStreamFrame):
                return f"reset {CODES[frame.error_code]}"
        return "closed" if self.closed else "nothing"

    def answers(self, *streams: int) -> dict[int, Answer]:
        """Reads until all these streams have ended."""
        found: dict[int, Answer] = {}
        while not all(stream in found and found[stream].ended for stream in streams):
            frame = self.frame()
            assert frame is not None, (self.closed, found)
            assert not isinstance(frame, GoAwayFrame) or frame.error_code == 0, frame
            if isinstance(frame, HeadersFrame):
                headers = [(str(n), str(v)) for n, v in self.decoder.decode(frame.data)]
                found[frame.stream_id] = Answer(int(dict(headers)[":status"]), headers, b"", False)
            elif isinstance(frame, DataFrame):
                found[frame.stream_id].body += frame.data
            elif isinstance(frame, RstStreamFrame):
                assert frame.error_code == 0, frame
            elif isinstance(frame, ContinuationFrame):
                raise AssertionError(frame)
            if "END_STREAM" in frame.flags:
                found[frame.stream_id].ended = True
        return found
