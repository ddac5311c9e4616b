"""The configuration file is read again: what is right takes effect, what is wrong changes nothing and is said."""

from __future__ import annotations

import signal
import threading
import time

from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.gateway import ADMIN_TOKEN, Gateway, simple
from harness.upstream import Request, Step, reply_json
from harness.wire import call

CANARY = "sk-reload-canary-91"


def script(request: Request) -> list[Step]:
    """Answers."""
    return [*reply_json(wire.completion("hello"))]


def serves(served: Gateway, model: str) -> int:
    """Asks a model and returns the status."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    return call(served.url, "/v1/chat/completions", key=served.key, body=body).status


def problems(served: Gateway) -> list[dict[str, object]]:
    """Returns what the status says about the configuration."""
    status = call(served.admin_url, "/admin/v1/status", key=ADMIN_TOKEN).json
    return [problem for environment in status["problems"] for problem in environment["problems"]]


def test_a_file_with_a_mistake_changes_nothing(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """A model is added; then mistakes, with a secret in them; then it is mended."""
    served = gateway(simple(upstream(script).base_url))
    good = served.config_file.read_text()
    assert serves(served, "m2") == 400
    added = good + '\n[[models]]\nslug = "m2"\nprovider = "up"\nupstream_name = "x"\n'
    served.config_file.write_text(added)
    served.wait(lambda: serves(served, "m2") == 200, "the new model", 30)

    line = added.count("\n") + 3
    broken = added + f'\n[providers.bad]\nbase_url = "{CANARY}"\nkind = "openai-compatible"\ntimeout_ms = "{CANARY}"\n'
    served.config_file.write_text(broken)
    served.wait(lambda: "what was read before stays in effect" in served.log, "the complaint", 30)
    assert f"crossway.toml:{line}: providers.bad.base_url: " in served.log
    assert f"crossway.toml:{line + 2}: providers.bad.timeout_ms: " in served.log
    assert CANARY not in served.log
    assert (serves(served, "m"), serves(served, "m2")) == (200, 200)
    told = problems(served)
    assert {problem["line"] for problem in told} >= {line, line + 2}, told
    assert CANARY not in str(told)

    served.config_file.write_text("this is not TOML [")
    served.wait(lambda: "not TOML" in served.log, "the complaint", 30)
    assert serves(served, "m2") == 200

    served.config_file.write_text(good + '\n[[models]]\nslug = "m3"\nprovider = "up"\n')
    served.wait(lambda: serves(served, "m3") == 200, "the mended file", 30)
    assert serves(served, "m2") == 400
    assert problems(served) == []


def test_settings_of_the_process_need_a_restart(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """They are named, and the rest takes effect."""
    served = gateway(simple(upstream(script).base_url))
    text = served.config_file.read_text()
    served.config_file.write_text('grace = "7s"\nlog = "debug"\n' + text + '\n[environment]\nmeta_key = "gateway"\n')
    served.wait(lambda: "These settings need a restart" in served.log, "the warning", 30)
    assert "log, grace" in served.log
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    assert "gateway" in call(served.url, "/v1/chat/completions", key=served.key, body=body).json


def test_a_file_is_taken_when_its_writer_is_done(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Somebody writes slowly: nothing half is read. SIGHUP reads at once, and does not end the process."""
    up = upstream(script)
    served = gateway(simple(up.base_url))

    def logged_meanwhile() -> list[str] | None:
        """Writes it in pieces, and returns what was logged meanwhile; nothing where one of them came so late that the file
        looked as if its writer was done."""
        whole = served.config_file.read_text() + '\n[[models]]\nslug = "m2"\nprovider = "up"\n'
        before, last, longest = len(served.log_lines), time.monotonic(), 0.0
        with served.config_file.open("w") as file:
            for at in range(0, len(whole), max(1, len(whole) // 30)):
                file.write(whole[at : at + max(1, len(whole) // 30)])
                file.flush()
                time.sleep(0.1)
                lines = served.log_lines[before:]
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return lines if longest < 0.8 else None

    # The file is looked at once a second; where the machine stood still for as long, another one is written.
    while (logged := logged_meanwhile()) is None:
        served = gateway(simple(up.base_url))
    assert logged == [], "nothing was read"
    served.wait(lambda: serves(served, "m2") == 200, "the whole file", 30)
    reads = served.log.count("is in effect")
    served.signal(signal.SIGHUP)
    served.wait(lambda: served.log.count("is in effect") > reads, "the file to be read", 30)
    assert served.alive


def test_changes_under_load_drop_nothing(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Models, prices, limits and keys come and go while requests run: every one is answered by what was there before or
    by what is there after."""
    served = gateway(simple(upstream(script).base_url))
    key, stop = served.key, threading.Event()
    statuses: list[int] = []

    def load() -> None:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
        while not stop.is_set():
            statuses.append(call(served.url, "/v1/chat/completions", key=key, body=body).status)

    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()

    def change(method: str, path: str, body: object = None) -> None:
        reply = call(served.admin_url, f"/admin/v1/environments/default/{path}", body, key=ADMIN_TOKEN, method=method)
        while reply.status == 429:
            time.sleep(0.5)
            reply = call(served.admin_url, f"/admin/v1/environments/default/{path}", body, key=ADMIN_TOKEN, method=method)
        assert reply.status < 300, (method, path, reply.body)

    made = call(served.admin_url, "/admin/v1/environments/default/models?q=none", key=ADMIN_TOKEN)
    assert made.status == 200
    for round in range(25):
        change("POST", "models", {"spec": {"slug": f"x{round}", "provider": "up", "input_price": round, "output_price": 2}})
        change("POST", "keys", {"name": f"k{round}", "spec": {}})
        change("PATCH", f"models/x{round}", {"spec": {"output_price": 3, "enabled": round % 2 == 0}})
        change("POST", f"keys/k{round}/revoke")
        change("DELETE", f"models/x{round}")
        served.config_file.write_text(served.config_file.read_text() + f"\n# {round}\n")
    stop.set()
    for thread in threads:
        thread.join(20)
    assert set(statuses) == {200}, {status: statuses.count(status) for status in set(statuses)}
    assert len(statuses) > 200


def test_a_file_that_is_gone_takes_nothing_away(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Not even when the gateway is asked to read it; and what is worth knowing of a new one is said."""
    served = gateway(simple(upstream(script).base_url))
    text = served.config_file.read_text()
    served.config_file.unlink()
    served.signal(signal.SIGHUP)
    served.wait(lambda: "is gone" in served.log, "the complaint", 30)
    assert serves(served, "m") == 200
    served.config_file.write_text(text + "\n[guardrails.empty]\nbanned_phrases = []\n")
    served.wait(lambda: "guardrails.empty: it says nothing" in served.log, "the warning", 30)
    assert serves(served, "m") == 200
