"""The program's commands, run beside a gateway."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from .gateway import ADMIN_TOKEN, Gateway, binary


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Everything it printed."""
        return self.out + self.err


def run(gateway: Gateway, *args: str | Path, config: bool = False, env: dict[str, str] | None = None) -> Done:
    """Runs a command against a running gateway; with `config` on its data directory."""
    command = [binary(), *map(str, args), *(["--config", str(gateway.config_file)] if config else [])]
    environment = gateway._environment() | {"CROSSWAY_ADMIN_TOKEN": ADMIN_TOKEN}
    if gateway.admin_url and not config:
        environment["CROSSWAY_ADMIN_URL"] = gateway.admin_url
    done = subprocess.run(command, cwd=gateway.folder, env=environment | (env or {}), capture_output=True, timeout=60)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
