"""Coding agents: Claude Code's and Codex's shapes of requests over a provider of either dialect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import agents, anthropic_wire, openai_wire
from harness.gateway import Gateway, model, provider
from harness.readers import read
from harness.upstream import Request, Step, Upstream, reply_json, stream
from harness.wire import Reply, call

CALLED = ("Edit", {"path": "/src/main.rs", "edits": [{"old": "a", "new": "b"}]})
TEXT = "Let me mend that."


def by_messages(request: Request) -> list[Step]:
    """An Anthropic provider that answers with a text and a tool call, where tools are offered."""
    body = request.json or {}
    if not body.get("tools"):
        return anthropic_wire.answer(request)
    tool = {"type": "tool_use", "id": "toolu_9", "name": CALLED[0], "input": CALLED[1]}
    events = anthropic_wire.events({"type": "text", "text": TEXT}, tool, stop="tool_use")
    return stream(events) if body.get("stream") else reply_json({"input_tokens": 4321})


def by_chat(request: Request) -> list[Step]:
    """An OpenAI provider that does the same."""
    body = request.json or {}
    if not body.get("tools"):
        return openai_wire.answer(request)
    text = json.dumps(CALLED[1])
    begun = {"index": 0, "id": "call_9", "type": "function", "function": {"name": CALLED[0], "arguments": ""}}
    pieces = [{"role": "assistant", "content": ""}, {"content": TEXT}, {"tool_calls": [begun]}]
    pieces += [{"tool_calls": [{"index": 0, "function": {"arguments": half}}]} for half in (text[:9], text[9:])]
    events = [openai_wire.event(openai_wire.piece(piece)) for piece in pieces]
    events.append(openai_wire.event(openai_wire.piece({}, "tool_calls")))
    used = openai_wire.event(openai_wire.piece({}) | {"choices": [], "usage": openai_wire.USAGE})
    return stream([*events, used, openai_wire.DONE])


class Served:
    """A gateway before two providers, one of each dialect: the models `claude` and `gpt`."""

    def __init__(self, gateway: Gateway, messages: Upstream, chat: Upstream) -> None:
        self.gateway, self.upstreams = gateway, {"claude": messages, "gpt": chat}

    def messages(self, body: agents.Body, path: str = "/v1/messages?beta=true", **headers: str) -> Reply:
        """A request of Claude Code."""
        own = agents.CLAUDE_HEADERS | {"authorization": f"Bearer {self.gateway.key}"} | headers
        return call(self.gateway.url, path, body, headers=own)

    def completions(self, body: agents.Body) -> Reply:
        """A request of Codex."""
        return call(self.gateway.url, "/v1/chat/completions", body, key=self.gateway.key, headers=agents.CODEX_HEADERS)

    def asked(self, name: str) -> Any:
        """What the provider of a model was asked last."""
        return self.upstreams[name].last.request


@pytest.fixture(scope="module")
def served(shared_gateway: MakeGateway, shared_upstream: MakeUpstream) -> Served:
    messages, chat = shared_upstream(by_messages), shared_upstream(by_chat)
    config = {
        "providers": {"one": provider(messages.url, kind="anthropic"), "two": provider(chat.base_url)},
        "models": [model("claude", "one"), model("gpt", "two")],
    }
    return Served(shared_gateway(config), messages, chat)


SHAPES: dict[str, Callable[[str], agents.Body]] = {
    "adaptive": agents.claude_code,
    "budget": agents.claude_older,
}


@pytest.mark.parametrize("name", ["claude", "gpt"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_turn_of_claude_code(served: Served, shape: str, name: str) -> None:
    reply = served.messages(SHAPES[shape](name))
    assert reply.status == 200 and reply.whole, reply.body[:500]
    reading = read("anthropic", reply.body)
    assert reading.text == TEXT and reading.calls == [CALLED] and reading.finish == "tool_calls"
    assert reading.output == 3
    assert reply.header("content-encoding") is None, "nothing was compressed"


def test_claude_code_over_anthropic_is_passed_on_as_it_is(served: Served) -> None:
    body = agents.claude_code("claude")
    served.messages(body)
    request = served.asked("claude")
    assert request.json == body | {"model": "up-model"}
    assert request.header("anthropic-beta") == agents.CLAUDE_BETAS
    assert request.header("anthropic-version") == "2023-06-01"


def test_claude_code_over_openai_is_said_in_its_words(served: Served) -> None:
    reply = served.messages(agents.claude_code("gpt"))
    body = served.asked("gpt").json
    roles = [message["role"] for message in body["messages"]]
    assert roles[0] in ("system", "developer") and "Many rules." in str(body["messages"][0]["content"])
    assert roles[1:] in (
        ["user", "assistant", "tool", "tool", "user"],
        ["user", "user", "assistant", "tool", "tool", "user"],
    )
    calls = next(message["tool_calls"] for message in body["messages"] if message["role"] == "assistant")
    assert [(one["id"], one["function"]["name"]) for one in calls] == [("toolu_01A", "Read"), ("toolu_01B", "Grep")]
    assert json.loads(calls[1]["function"]["arguments"]) == {"path": "/src", "limit": 3}
    results = {
        message["tool_call_id"]: str(message["content"]) for message in body["messages"] if message["role"] == "tool"
    }
    assert "fn main" in results["toolu_01A"] and "no matches" in results["toolu_01B"]
    assert [tool["function"]["name"] for tool in body["tools"]] == agents.CLAUDE_TOOLS
    wanted = agents.claude_tool("Edit")["input_schema"]["properties"]
    assert body["tools"][5]["function"]["parameters"]["properties"] == wanted
    assert body["stream"] is True and 32000 in (body.get("max_completion_tokens"), body.get("max_tokens"))
    assert "cache_control" not in json.dumps(body) and "context_management" not in body
    dropped = reply.header("x-crossway-dropped-params") or ""
    assert "context_management" in dropped, "what cannot be said is named"


def test_the_probe_of_claude_code(served: Served) -> None:
    for name in ("claude", "gpt"):
        reply = served.messages(agents.claude_quota(name))
        assert reply.status == 200 and reply.json["type"] == "message", reply.body[:300]


@pytest.mark.parametrize("name", ["claude", "gpt"])
def test_the_title_of_a_session(served: Served, name: str) -> None:
    reply = served.messages(agents.claude_title(name))
    assert reply.status == 200 and read("anthropic", reply.body).text == "Hello there friend", reply.body[:500]
    body = served.asked(name).json
    if name == "gpt":
        schema = body["response_format"]["json_schema"]["schema"]
        assert schema["properties"] == {"title": {"type": "string"}}
        assert not body.get("tools"), "an empty list is refused by OpenAI"


@pytest.mark.parametrize("name", ["claude", "gpt"])
def test_the_count_of_claude_code(served: Served, name: str) -> None:
    gone = ("max_tokens", "stream", "metadata", "output_config", "context_management")
    body = {field: value for field, value in agents.claude_code(name).items() if field not in gone}
    reply = served.messages(body, "/v1/messages/count_tokens?beta=true")
    assert reply.status == 200, reply.body[:300]
    assert reply.json["input_tokens"] == 4321 if name == "claude" else reply.json["input_tokens"] > 1000


def test_the_models_that_claude_code_discovers(served: Served) -> None:
    """`GET /v1/models?limit=1000`: ids and names to show."""
    own = agents.CLAUDE_HEADERS | {"x-api-key": served.gateway.key}
    reply = call(served.gateway.url, "/v1/models?limit=1000", headers=own)
    assert reply.status == 200 and {one["id"] for one in reply.json["data"]} >= {"claude", "gpt"}
    assert all(one["display_name"] and one["type"] == "model" for one in reply.json["data"])


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("path", ["/", "/api/anthropic", "/v1/messages"])
def test_a_probe_of_the_address(served: Served, method: str, path: str) -> None:
    """Agents knock before they speak: any answer will do, but an answer, without a body to HEAD."""
    reply = call(served.gateway.url, path, headers={"user-agent": "Bun/1.3"}, method=method)
    assert reply.status in (200, 401, 404, 405) and reply.whole
    assert method == "GET" or not reply.body


@pytest.mark.parametrize("name", ["claude", "gpt"])
def test_a_turn_of_codex(served: Served, name: str) -> None:
    reply = served.completions(agents.codex(name))
    assert reply.status == 200 and reply.whole, reply.body[:500]
    reading = read("openai_chat", reply.body)
    assert reading.text == TEXT and reading.calls == [CALLED] and reading.finish == "tool_calls"
    assert reply.events[-1] == b"[DONE]"


def test_codex_over_anthropic_is_said_in_its_words(served: Served) -> None:
    served.completions(agents.codex("claude"))
    body = served.asked("claude").json
    assert "You are a coding agent." in json.dumps(body["system"])
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    blocks = [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    used = [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    assert used == [("call_1", "shell", {"command": ["ls", "-la"]}), ("call_2", "update_plan", {"plan": []})]
    results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
    assert results == {"call_1", "call_2"}
    assert [tool["name"] for tool in body["tools"]] == ["shell", "update_plan"]
    assert body["max_tokens"] > 0 and body["stream"] is True


def test_codex_over_openai_is_passed_on_as_it_is(served: Served) -> None:
    body = agents.codex("gpt")
    served.completions(body)
    asked = served.asked("gpt").json
    assert asked.pop("stream_options") == {"include_usage": True}
    assert asked == body | {"model": "up-model"}
