"""A real model: llama.cpp's server with SmolLM2 as the provider, the official SDKs as the callers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGateway
from harness import node
from harness.gateway import Gateway, model, provider
from openai import OpenAI

MESSAGES: list[Any] = [{"role": "user", "content": "Write one short sentence about the sea."}]
MORE: dict[str, Any] = {"max_tokens": 24, "temperature": 0, "seed": 1}


@pytest.fixture(scope="module")
def served(shared_gateway: MakeGateway, llama: str) -> Gateway:
    """A gateway in front of the model server."""
    config = {"providers": {"local": provider(llama + "/v1")}, "models": [model("smollm2", "local", "smollm2")]}
    return shared_gateway(config)


def buffered(base_url: str, key: str) -> Any:
    with OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        return client.chat.completions.create(model="smollm2", messages=MESSAGES, **MORE)


def streamed(base_url: str, key: str) -> tuple[str, str | None, Any, list[Any]]:
    text, finish, usage, chunks = "", None, None, []
    with OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        for chunk in client.chat.completions.create(model="smollm2", messages=MESSAGES, **options, **MORE):
            chunks.append(chunk)
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
    return text, finish, usage, chunks


def test_python_buffered(served: Gateway, llama: str) -> None:
    direct, through = buffered(llama + "/v1", "none"), buffered(served.base_url, served.key)
    assert through.choices[0].message.content == direct.choices[0].message.content
    assert through.choices[0].finish_reason == direct.choices[0].finish_reason
    assert through.usage.completion_tokens == direct.usage.completion_tokens > 0
    assert through.crossway["routed_to"] == "smollm2" and through.crossway["provider"] == "local"


def test_python_streamed(served: Gateway, llama: str) -> None:
    direct, through = streamed(llama + "/v1", "none"), streamed(served.base_url, served.key)
    assert through[0] == direct[0] != ""
    assert through[1] == direct[1]
    assert through[2].completion_tokens == direct[2].completion_tokens > 0
    assert len(through[3]) > 5, "it arrives piece by piece"


def test_the_record_has_the_tokens_of_the_answer(served: Gateway) -> None:
    with OpenAI(base_url=served.base_url, api_key=served.key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(model="smollm2", messages=MESSAGES, **MORE)
    usage = raw.parse().usage
    record = served.record(raw.headers["x-request-id"])
    recorded = record["usage"]
    assert recorded["origin"] == "reported" and recorded["output_tokens"] == usage.completion_tokens
    assert recorded["input_tokens"] == usage.prompt_tokens
    assert recorded["cached_input_tokens"] == usage.prompt_tokens_details.cached_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_node(served: Gateway, llama: str, stream: bool) -> None:
    given = {"model": "smollm2", "messages": MESSAGES, "more": MORE, "stream": stream}
    direct = node.run("chat", given | {"baseURL": llama + "/v1", "apiKey": "none"})
    through = node.run("chat", given | {"baseURL": served.base_url, "apiKey": served.key})
    for name in ("text", "finish_reason"):
        assert through[name] == direct[name], name
    assert through["text"]
    assert through["usage"]["completion_tokens"] == direct["usage"]["completion_tokens"] > 0
    assert through["meta"]["routed_to"] == "smollm2"


def blocks(language: str) -> list[str]:
    """The code blocks of a language in docs/first-steps.md."""
    text = (Path(__file__).parents[2] / "docs" / "first-steps.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_first_steps_as_they_are_written(gateway: MakeGateway, llama: str, tmp_path: Path) -> None:
    """The configuration and the snippets of docs/first-steps.md, with nothing but the addresses changed."""
    served = gateway({}, start=False)
    (written,) = blocks("toml")
    served.config_file.write_text(served.config_file.read_text() + written.replace("http://127.0.0.1:8765", llama))
    served.cli("check")
    served.start()

    (python,) = blocks("python")
    (javascript,) = blocks("js")
    (tmp_path / "first.py").write_text(python.replace("http://127.0.0.1:8080", served.url))
    script = javascript.replace("http://127.0.0.1:8080", served.url)
    (tmp_path / "first.mjs").write_text(node.with_modules(script))
    for command in ([sys.executable, tmp_path / "first.py"], [node.binary(), tmp_path / "first.mjs"]):
        env = node.environment() | {"CROSSWAY_API_KEY": served.key}
        done = subprocess.run(command, env=env, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        assert len(done.stdout.decode().strip()) > 10
    assert "smollm2" in done.stdout.decode(), "the extra object is printed"
