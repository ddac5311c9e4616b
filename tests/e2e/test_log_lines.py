"""The log of the process: one JSON object a line, in the Ballerina gateway's shape, whatever a request carries."""

from __future__ import annotations

import json
import re
from typing import Any

from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.gateway import Gateway, model, provider

HOSTILE = 'x\r\n{"level":"ERROR","message":"forged"}\u001b[2J\u009b31m\u2028\u202e'


def lines(gateway: Gateway) -> list[dict[str, Any]]:
    """Returns what was logged; what is no JSON (the greeting) aside."""
    return [json.loads(line) for line in gateway.log_lines if line.startswith("{")]


def failover(gateway: Gateway) -> list[dict[str, Any]]:
    return [line for line in lines(gateway) if line["component"] == "failover"]


def test_the_trail_of_a_failover(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    secret = "sk-live-abcdefghijklmnopqrstuvwxyz012345"
    first = upstream(lambda _: wire.error(500, f"{HOSTILE} key {secret}"))
    second = upstream(wire.answer)
    served = gateway(
        {
            "providers": {"ollama": provider(first.base_url), "openai": provider(second.base_url)},
            "models": [model("m", "ollama"), model("m", "openai")],
        }
    )
    body = {"model": "m", "messages": [{"role": "user", "content": "secret-of-the-prompt"}]}
    reply = served.chat(body, headers={"x-llm-provider": "ollama"})
    assert reply.status == 200
    served.wait(lambda: len(failover(served)) == 2, "the trail")
    failed, attempting = failover(served)
    assert list(failed) == ["timestamp", "level", "component", "message", "metadata"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", failed["timestamp"])
    assert (failed["level"], failed["message"]) == ("WARN", "Primary provider failed")
    assert list(failed["metadata"]) == ["requestId", "provider", "error"]
    assert failed["metadata"]["requestId"] == reply.header("x-request-id")
    assert failed["metadata"]["provider"] == "ollama"
    assert failed["metadata"]["error"].startswith("server_error: status 500")
    assert HOSTILE in failed["metadata"]["error"], "what was said is said in full, and escaped"
    assert (attempting["level"], attempting["message"]) == ("INFO", "Attempting failover")
    assert attempting["metadata"] == {"requestId": reply.header("x-request-id"), "provider": "openai"}
    assert secret not in served.log and "secret-of-the-prompt" not in served.log
    controls = [line for line in served.log_lines if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]", line)]
    assert controls == []


def test_hostile_names_forge_nothing(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Acceptance INJ-02."""
    broken = upstream(lambda _: wire.error(500, "broken"))
    served = gateway(
        {
            "log": "debug",
            "providers": {"one": provider(broken.base_url), "two": provider(broken.base_url)},
            "models": [model("m", "one"), model("m", "two")],
        }
    )
    body = {"model": HOSTILE, "user": HOSTILE, "messages": [{"role": "user", "content": "hi"}]}
    visible = "\x85\x9b31m a=b component=failover"
    for headers in ({}, {"x-llm-provider": "one"}, {"user-agent": visible, "x-llm-provider": visible}):
        served.chat(body, headers=headers)
    served.chat(body | {"model": "m"}, headers={"user-agent": visible})
    served.wait(lambda: failover(served), "a line")
    assert not any(line.get("message") == "forged" for line in lines(served))
    assert "forged" not in "".join(re.sub(r'"error":"[^"]*', "", line) for line in served.log_lines)
    assert not any(re.search(r"[\x00-\x1f\x7f-\x9f]", line) for line in served.log_lines)
