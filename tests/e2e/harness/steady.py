"""`steady`, a strict upstream made of an OpenAPI document: it refuses what that does not allow, and answers with what it
does. It knows no streams of these interfaces, so they are given in its place once it has accepted the request.
"""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

from . import small_streams
from .corpus import FOLDER
from .node import environment
from .ports import reserved
from .upstream import Request, Step, Upstream, reply
from .wire import call

SCHEMAS = FOLDER / "schemas"
PASSED = ("content-type", "authorization", "x-api-key", "anthropic-version", "anthropic-beta")
FORMS = [f"--validator-{what}-format=brackets" for what in ("query-array", "form-array", "query-object", "form-object")]


class Steady:
    """One running upstream, made of `schemas/<schema>.yaml`, that speaks a dialect."""

    def __init__(self, schema: str, dialect: str) -> None:
        self.dialect = dialect
        clean = environment()
        program = Path(clean["E2E_NODE_MODULES"], "@stdy", "cli-linux-x64", "bin", "steady")
        # It does not take port 0.
        command = [program, "--host", "127.0.0.1", "-p", str(reserved()), "--no-color", "--quiet", *FORMS]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen([*command, SCHEMAS / f"{schema}.yaml"], env=clean, **pipes)  # type: ignore[call-overload]
        self.lines: list[str] = []
        self._ready = threading.Event()
        self.url = ""
        threading.Thread(target=self._collect, daemon=True).start()
        assert self._ready.wait(60) and self.url, "\n".join(self.lines)
        self.front = Upstream(self._answer)

    def _answer(self, request: Request) -> list[Step]:
        headers = {name: value for name in PASSED if (value := request.header(name))}
        # OpenAI's document has the version in the server's address.
        path = request.path.removeprefix("/v1") if self.dialect.startswith("openai") else request.path
        answer = call(self.url, path, request.body, headers=headers)
        if answer.status == 200 and (request.json or {}).get("stream") is True:
            return small_streams.STREAMS[self.dialect]()
        return reply(answer.status, answer.body)

    def _collect(self) -> None:
        for raw in self.process.stdout or ():
            line = raw.decode("utf-8", "replace").rstrip()
            self.lines.append(line)
            if found := re.search(r"(?:accept requests on|listening at) (http://\S+)", line):
                self.url = found[1]
                self._ready.set()
        self._ready.set()

    def stop(self) -> None:
        """Ends it."""
        self.front.close()
        self.process.kill()
        self.process.wait(10)
