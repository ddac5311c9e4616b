"""`steady`, a strict upstream made of an OpenAPI document: it refuses what the document does not allow, and answers with
what it does."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from pathlib import Path

from .corpus import FOLDER
from .node import environment

SCHEMAS = FOLDER / "schemas"
FORMS = [f"--validator-{what}-format=brackets" for what in ("query-array", "form-array", "query-object", "form-object")]


class Steady:
    """One running upstream."""

    def __init__(self, schema: str) -> None:
        clean = environment()
        program = Path(clean["E2E_NODE_MODULES"], "@stdy", "cli-linux-x64", "bin", "steady")
        # Port 0 is refused by it; the kernel hands these out last, and a taken one fails with a clear word.
        command = [program, "--host", "127.0.0.1", "-p", str(free_port()), "--no-color", "--quiet", *FORMS]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen([*command, SCHEMAS / f"{schema}.yaml"], env=clean, **pipes)  # type: ignore[call-overload]
        self.lines: list[str] = []
        self._ready = threading.Event()
        self.url = ""
        threading.Thread(target=self._collect, daemon=True).start()
        assert self._ready.wait(30) and self.url, "\n".join(self.lines)

    def _collect(self) -> None:
        for raw in self.process.stdout or ():
            line = raw.decode("utf-8", "replace").rstrip()
            self.lines.append(line)
            if found := re.search(r"accept requests on (http://\S+)", line):
                self.url = found[1]
                self._ready.set()
        self._ready.set()

    def stop(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait(10)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
