"""Ports that stay free for whom they are meant."""

from __future__ import annotations

import socket

_KEPT: list[socket.socket] = []


def reserved() -> int:
    """A port on which nobody listens, and which nobody is given who asks for any port.

    It stays bound here, without listening, to the end of this process: who connects to it is refused. A program that is
    told its number may listen on it all the same, since it and we set SO_REUSEADDR, as servers do. To let go of it and
    hope that it is still free a moment later goes wrong one time in some thousand, where suites run side by side.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    _KEPT.append(kept)
    return int(kept.getsockname()[1])
