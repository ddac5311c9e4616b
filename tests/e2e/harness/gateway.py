"""The gateway as a process: configured, started, asked, stopped and killed by its id."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .wire import Reply, call

ADMIN_TOKEN = "admin-token-of-the-tests"
PROVIDER_KEY = "sk-upstream-canary-5f1c77e0"

Config = dict[str, Any]


def toml(config: Config) -> str:
    """Writes plain values first, then tables, then arrays of tables, as TOML wants them."""
    plain = [f"{k} = {_value(v)}" for k, v in config.items() if not isinstance(v, (dict, list))]
    plain += [f"{k} = {_value(v)}" for k, v in config.items() if isinstance(v, list) and not _tables(v)]
    out = ["\n".join(plain)]
    for name, table in config.items():
        if isinstance(table, dict):
            own = {k: v for k, v in table.items() if not isinstance(v, dict)}
            if own:
                out.append("\n".join([f"[{name}]", *[f"{k} = {_value(v)}" for k, v in own.items()]]))
            for inner, values in ((k, v) for k, v in table.items() if isinstance(v, dict)):
                lines = [f"{k} = {_value(v)}" for k, v in values.items()]
                out.append("\n".join([f"[{name}.{inner}]", *lines]))
        elif isinstance(table, list) and _tables(table):
            for values in table:
                out.append("\n".join([f"[[{name}]]", *[f"{k} = {_value(v)}" for k, v in values.items()]]))
    return "\n\n".join(out) + "\n"


def _tables(value: list[Any]) -> bool:
    return bool(value) and isinstance(value[0], dict)


def _value(value: Any) -> str:
    # JSON's strings, numbers, booleans and lists of them are TOML too.
    return json.dumps(value)


def provider(base_url: str, **more: Any) -> Config:
    """An OpenAI-compatible provider."""
    return {"kind": "openai-compatible", "base_url": base_url, "api_key": PROVIDER_KEY} | more


def model(slug: str, provider: str = "up", upstream_name: str = "up-model", **more: Any) -> Config:
    """A model with a price."""
    base = {"slug": slug, "provider": provider, "upstream_name": upstream_name}
    return base | {"input_price": 1.0, "output_price": 2.0} | more


def simple(base_url: str, **provider_fields: Any) -> Config:
    """One provider `up` with one model `m`."""
    return {"providers": {"up": provider(base_url, **provider_fields)}, "models": [model("m")]}


class Gateway:
    """A running gateway, and the files it runs on."""

    def __init__(self, folder: Path, config: Config, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.env = env or {}
        self.config_file = folder / "crossway.toml"
        base = {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0"}
        base |= {"data_dir": str(folder / "data"), "admin_token": ADMIN_TOKEN}
        self.config_file.write_text(toml(base | config))
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.admin_url = ""
        self.log_lines: list[str] = []
        self._key: str | None = None

    # --- the process

    def start(self, args: list[str] | None = None) -> Gateway:
        """Starts and waits until it serves."""
        command = [binary(), "serve", *(args if args is not None else ["--config", str(self.config_file)])]
        if args is None:
            self.key
        self.url = self.admin_url = ""
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._collect, args=(self.process,), daemon=True).start()
        self.wait(lambda: self.url and self.admin_url, "the addresses in its output", 60)
        self.wait(lambda: self._ready() == 200, "/readyz")
        return self

    def _environment(self) -> dict[str, str]:
        # Nothing of the developer's own set-up may reach the gateway under test.
        foreign = re.compile(r"CROSSWAY_|OLLAMA_HOST$|.*_API_KEY$|.*_BASE_URL$|.*_proxy$", re.IGNORECASE)
        clean = {k: v for k, v in os.environ.items() if not foreign.match(k)}
        return clean | {"NO_COLOR": "1"} | self.env

    def _collect(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.log_lines.append(line)
            if found := re.match(r"\s*data plane\s+(http://\S+)", line):
                self.url = found[1].rstrip("/")
            elif found := re.match(r"\s*admin\s+(http://\S+)", line):
                self.admin_url = "http://" + found[1].removeprefix("http://").split("/")[0]

    def _ready(self) -> int:
        try:
            return call(self.admin_url, "/readyz", timeout=2).status
        except (OSError, AssertionError):
            return 0

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
        """Waits until a condition holds; fails with the log when it does not, or when the process ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := condition():
                return value
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the gateway ended with {self.process.returncode} before {what}\n{self.log}")
            time.sleep(0.01)
        raise AssertionError(f"waited {seconds} s for {what}\n{self.log}")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process, by its id."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, seconds: float = 20.0) -> int:
        """Asks it to end and returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Ends it at once, as a power cut of the process would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    @property
    def alive(self) -> bool:
        """Tells whether the process is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        """Everything it has printed."""
        return "\n".join(self.log_lines)

    # --- keys

    def cli(self, *args: str) -> str:
        """Runs a command of the program on this configuration and returns what it prints on stdout."""
        command = [binary(), *args, "--config", str(self.config_file)]
        done = subprocess.run(command, cwd=self.folder, env=self._environment(), capture_output=True, timeout=60)
        assert done.returncode == 0, f"{args} ended with {done.returncode}\n{done.stderr.decode()}"
        return done.stdout.decode()

    def create_key(self, name: str) -> str:
        """Makes an API key and returns its secret."""
        printed = self.cli("keys", "create", "--name", name)
        secret = printed.strip()
        assert printed in (secret, secret + "\n") and " " not in secret, f"not the secret alone: {printed!r}"
        if self.alive:
            self.wait(lambda: call(self.url, "/v1/models", key=secret).status == 200, "the new key to work")
        return secret

    def revoke_key(self, name: str) -> None:
        """Revokes an API key."""
        self.cli("keys", "revoke", name)

    @property
    def key(self) -> str:
        """An API key that lives as long as the test."""
        if self._key is None:
            self._key = self.create_key("test")
        return self._key

    # --- asking

    @property
    def base_url(self) -> str:
        """What an OpenAI client is given."""
        return self.url + "/v1"

    def chat(self, body: dict[str, Any] | bytes, path: str = "/v1/chat/completions", **more: Any) -> Reply:
        """A chat request with the key of the test."""
        return call(self.url, path, body, **({"key": self.key} | more))

    def ask(self, text: str = "hi", stream: bool = False, **more: Any) -> Reply:
        """A small chat request for the model `m`."""
        body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": text}]} | more
        return self.chat(body | {"stream": True} if stream else body)

    def admin(self, path: str) -> Any:
        """A call of the admin API."""
        reply = call(self.admin_url, "/admin/v1" + path, key=ADMIN_TOKEN)
        assert reply.status == 200, (path, reply.status, reply.body[:500])
        return reply.json

    def records(self, limit: int = 200) -> list[dict[str, Any]]:
        """The request records of the default environment, the newest first."""
        out: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.admin(f"/environments/default/requests?limit={limit}{cursor}")
            out += page["data"]
            if not page.get("next_cursor"):
                return out
            cursor = f"&cursor={page['next_cursor']}"

    def record(self, request_id: str) -> dict[str, Any]:
        """One request record, which may take a moment to be listed."""

        def look() -> dict[str, Any] | None:
            reply = call(self.admin_url, f"/admin/v1/environments/default/requests/{request_id}", key=ADMIN_TOKEN)
            return reply.json if reply.status == 200 else None

        return self.wait(look, f"the record {request_id}")


def binary() -> str:
    """The program under test."""
    root = Path(__file__).resolve().parents[3]
    path = os.environ.get("CROSSWAY_BIN") or root / "target" / "debug" / "crossway"
    assert os.access(path, os.X_OK), f"no program at {path}: run `cargo build -p crossway` or set CROSSWAY_BIN"
    return str(Path(path).resolve())
