"""A caller that never stops asking, in a process of its own, so that it shares no interpreter with who is measured.

`noisy.py URL KEY PACE` asks, and prints how often each status came once its stdin is closed. `noisy.py serve` answers
every request with one 429 from a blocking socket: what the same caller costs the machine without a gateway.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.wire import Connection, request_bytes

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hello"}]}'


class Noisy:
    """The process of one such caller."""

    def __init__(self, url: str, key: str, pace: float) -> None:
        command = [sys.executable, __file__, url, key, str(pace)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"begun\n"

    def stop(self) -> Counter[int]:
        """Ends it, and returns how often each status came."""
        out, _ = self.process.communicate(timeout=20)
        return Counter({int(status): count for status, count in json.loads(out).items()})


class Plain:
    """The process that answers without a gateway."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def stop(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait(10)


def shout(url: str, key: str, pace: float) -> None:
    fields = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    raw = request_bytes("POST", "/v1/chat/completions", fields, BODY)
    counts: Counter[int] = Counter()
    with Connection(url) as connection:
        while True:
            connection.send(raw)
            reply = connection.reply()
            assert reply is not None
            counts[reply.status] += 1
            # Begun is who has been refused.
            if counts[429] == 1:
                print("begun", flush=True)
            if select.select([sys.stdin], [], [], pace)[0]:
                break
    print(json.dumps(counts))


def serve() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    answer = b'{"error":{"message":"no","type":"rate_limit_error","code":"rate_limited"}}'
    head = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)

    def one(peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while peer.recv(1 << 16):
            peer.sendall(head + answer)

    while True:
        threading.Thread(target=one, args=(listening.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        shout(sys.argv[1], sys.argv[2], float(sys.argv[3]))
