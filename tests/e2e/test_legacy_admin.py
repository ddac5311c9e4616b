"""The Ballerina gateway's admin calls, as its documentation prints them, with the real curl and a `Config.toml`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.gateway import ADMIN_TOKEN, Gateway
from harness.upstream import Request, Step, Upstream, reply_json
from harness.wire import call

# As printed there, but for the ports.
SET_PROMPT = """curl --location 'http://localhost:8081/admin/systemprompt' \\
--header 'Content-Type: application/json' \\
--data '{
"prompt": "respond only in chinese"
}'"""
GET_PROMPT = "curl --location 'http://localhost:8081/admin/systemprompt'"
SET_GUARDRAILS = """curl --location 'http://localhost:8081/admin/guardrails' \\
--header 'Content-Type: application/json' \\
--data '{
"bannedPhrases": ["obscene", "words"],
"minLength": 0,
"maxLength": 500000,
"requireDisclaimer": false
}'"""
GET_GUARDRAILS = """curl --location 'http://localhost:8081/admin/guardrails' \\
--data ''"""
SET_RATE_LIMIT = """curl --location 'http://localhost:8081/admin/ratelimit' \\
--header 'Content-Type: application/json' \\
--data '{
"name": "basic",
"requestsPerWindow": 5,
"windowSeconds": 60
}'"""
GET_RATE_LIMIT = """curl --location 'http://localhost:8081/admin/ratelimit' \\
--data ''"""
CHAT = """curl --location 'http://localhost:8080/v1/chat/completions' \\
--header 'x-llm-provider: ollama' \\
--header 'Content-Type: application/json' \\
--data '{
"messages": [{
"role": "user",
"content": "When will we have AGI? In 10 words"
}]
}
'"""
NO_GUARDRAILS = {"bannedPhrases": [], "minLength": 0, "requireDisclaimer": False}


class Served:
    """A gateway on a `Config.toml`, its provider, and a shell to call it from."""

    def __init__(self, make: MakeGateway, upstream: Upstream, **env: str) -> None:
        self.upstream = upstream
        env = {
            "CROSSWAY_LISTEN": "127.0.0.1:0",
            "CROSSWAY_ADMIN_LISTEN": "127.0.0.1:0",
        } | env
        self.gateway: Gateway = make({}, start=False, env=env)
        config = self.gateway.folder / "Config.toml"
        config.write_text(
            f'[openAIConfig]\napiKey = "sk-canary-71d0"\nendpoint = "{upstream.url}"\nmodel = "gpt-4o"\n'
        )
        env["CROSSWAY_DATA_DIR"] = str(self.gateway.folder / "data")
        self.args = ["--config", str(config)]
        self.gateway.start(self.args)

    def curl(self, line: str, provider: str = "openai", *more: str) -> tuple[int, Any]:
        """Runs a line in a shell; returns the status and the body."""
        ports = {"8080": self.gateway.url, "8081": self.gateway.admin_url}
        for port, url in ports.items():
            line = line.replace(
                f"localhost:{port}", "localhost:" + url.rsplit(":", 1)[1]
            )
        line = line.replace("x-llm-provider: ollama", f"x-llm-provider: {provider}")
        flags = " ".join(["--silent --show-error --write-out '\\n%{http_code}'", *more])
        done = subprocess.run(
            ["sh", "-c", line.replace("curl ", f"curl {flags} ", 1)],
            capture_output=True,
            timeout=30,
            check=True,
        )
        body, _, status = done.stdout.decode().rpartition("\n")
        return int(status), json.loads(body)

    def sent(self) -> list[dict[str, str]]:
        """The messages that the provider got last."""
        body = self.upstream.last.request.json
        assert body is not None
        messages: list[dict[str, str]] = body["messages"]
        return messages


def says(text: str) -> Any:
    def answer(request: Request) -> list[Step]:
        return reply_json(wire.completion(text))

    return answer


@pytest.fixture
def served(gateway: MakeGateway, upstream: MakeUpstream) -> Served:
    """Keyless, as a `Config.toml` has it."""
    return Served(gateway, upstream(says("Such obscene things.")))


def test_the_system_prompt(served: Served) -> None:
    assert served.curl(GET_PROMPT) == (200, {"prompt": ""})
    assert served.curl(CHAT)[0] == 200
    assert [message["role"] for message in served.sent()] == ["user"]

    assert served.curl(SET_PROMPT) == (200, {"prompt": "respond only in chinese"})
    assert served.curl(GET_PROMPT) == (200, {"prompt": "respond only in chinese"})
    assert served.curl(GET_PROMPT + " --data ''") == (
        200,
        {"prompt": "respond only in chinese"},
    )
    assert served.curl(CHAT)[0] == 200
    assert served.sent()[0] == {"role": "system", "content": "respond only in chinese"}

    other = SET_PROMPT.replace("respond only in chinese", "speak french")
    assert served.curl(other) == (200, {"prompt": "speak french"})
    assert served.curl(CHAT)[0] == 200
    assert served.sent()[0]["content"] == "speak french"

    assert served.curl(SET_PROMPT.replace("respond only in chinese", "")) == (
        200,
        {"prompt": ""},
    )
    assert served.curl(SET_PROMPT.replace("respond only in chinese", " ")) == (
        200,
        {"prompt": ""},
    )
    assert served.curl(CHAT)[0] == 200
    assert [message["role"] for message in served.sent()] == ["user"]


def test_the_guardrails(served: Served) -> None:
    assert served.curl(GET_GUARDRAILS) == (200, NO_GUARDRAILS)
    assert served.curl(CHAT)[0] == 200
    both = {
        "bannedPhrases": ["obscene", "words"],
        "minLength": 0,
        "requireDisclaimer": False,
        "maxLength": 500000,
    }
    assert served.curl(SET_GUARDRAILS) == (200, both)
    assert served.curl(GET_GUARDRAILS) == (200, both)
    assert served.curl(GET_GUARDRAILS.replace("--data ''", "")) == (200, both)
    status, body = served.curl(CHAT)
    assert (status, body["error"]["code"]) == (400, "guardrail_blocked")

    shown = served.curl(
        "curl 'http://localhost:8081/admin/guardrails' -H 'Content-Type: application/json' "
        """-d '{"maxLength": 4, "requireDisclaimer": true, "disclaimer": "No advice."}'"""
    )
    assert shown == (
        200,
        NO_GUARDRAILS
        | {"maxLength": 4, "requireDisclaimer": True, "disclaimer": "No advice."},
    )
    status, body = served.curl(CHAT)
    assert status == 200
    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (
        "Such\n\nNo advice.",
        "length",
    )

    nothing = "curl 'http://localhost:8081/admin/guardrails' -H 'Content-Type: application/json' -d '{}'"
    assert served.curl(nothing) == (200, NO_GUARDRAILS)
    assert (
        served.curl(CHAT)[1]["choices"][0]["message"]["content"]
        == "Such obscene things."
    )


def test_the_rate_limit(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """L6: set, read and cleared; counted for everybody together, and said in three headers of every response."""
    served = Served(gateway, upstream(says("Hello")), CROSSWAY_ADMIN_TOKEN=ADMIN_TOKEN)
    basic = {"name": "basic", "requestsPerWindow": 5, "windowSeconds": 60}
    admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    clear = "curl --location --request DELETE 'http://localhost:8081/admin/ratelimit'"
    assert served.curl(GET_RATE_LIMIT) == (200, {})
    assert served.curl(clear) == (200, {})
    assert served.curl(SET_RATE_LIMIT) == (200, basic)
    for line in (GET_RATE_LIMIT, GET_RATE_LIMIT.replace("--data ''", "")):
        assert served.curl(line) == (200, basic)
    (shown,) = call(
        served.gateway.admin_url, "/admin/v1/environments/default/limits", headers=admin
    ).json["data"]
    assert (shown["name"], shown["managed_by"]) == ("legacy", "api")
    assert shown["spec"] == {
        "meter": "requests",
        "window": "60s",
        "amount": 5,
        "description": "basic",
    }

    chat = {"messages": [{"role": "user", "content": "Hi"}]}
    names = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
    for left in range(4, -1, -1):
        reply = call(served.gateway.url, "/v1/chat/completions", chat)
        found = [int(reply.header(name) or -1) for name in names]
        assert (reply.status, found[:2]) == (200, [5, left])
        assert 1 <= found[2] <= 61
    reply = call(served.gateway.url, "/v1/chat/completions", chat)
    assert (reply.status, reply.json["error"]["code"]) == (429, "rate_limited")
    assert (reply.header("ratelimit-remaining"), reply.header("retry-after")) == (
        "0",
        reply.header("ratelimit-reset"),
    )

    more = SET_RATE_LIMIT.replace("5", "7").replace("basic", "more")
    assert served.curl(more) == (
        200,
        {"name": "more", "requestsPerWindow": 7, "windowSeconds": 60},
    )
    reply = call(served.gateway.url, "/v1/chat/completions", chat)
    assert (reply.status, reply.header("ratelimit-remaining")) == (200, "1"), (
        "what was used stays counted"
    )
    assert served.curl(clear) == (200, {})
    assert served.curl(GET_RATE_LIMIT) == (200, {})
    reply = call(served.gateway.url, "/v1/chat/completions", chat)
    assert (reply.status, [name for name in names if reply.header(name)]) == (
        200,
        [],
    )


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("ratelimit", '{"name": "basic", "windowSeconds": 60}', "requestsPerWindow"),
        ("ratelimit", '{"requestsPerWindow": 5}', "windowSeconds"),
        (
            "ratelimit",
            '{"requestsPerWindow": 0, "windowSeconds": 60}',
            "requestsPerWindow",
        ),
        (
            "ratelimit",
            '{"requestsPerWindow": -5, "windowSeconds": 60}',
            "requestsPerWindow",
        ),
        (
            "ratelimit",
            '{"requestsPerWindow": 5.5, "windowSeconds": 60}',
            "requestsPerWindow",
        ),
        (
            "ratelimit",
            '{"requestsPerWindow": "5", "windowSeconds": 60}',
            "requestsPerWindow",
        ),
        ("ratelimit", '{"requestsPerWindow": 5, "windowSeconds": 0}', "windowSeconds"),
        (
            "ratelimit",
            '{"requestsPerWindow": 5, "windowSeconds": 34560001}',
            "windowSeconds",
        ),
        (
            "ratelimit",
            '{"requestsPerWindow": 5, "windowSeconds": 99999999999999999999}',
            "windowSeconds",
        ),
        (
            "ratelimit",
            '{"name": 1, "requestsPerWindow": 5, "windowSeconds": 60}',
            "name",
        ),
        (
            "ratelimit",
            '{"name": "a\\u0007", "requestsPerWindow": 5, "windowSeconds": 60}',
            "name",
        ),
        (
            "ratelimit",
            '{"requestsPerWindow": 5, "windowSeconds": 60, "burst": 1}',
            "burst",
        ),
        ("systemprompt", '{"promt": "x"}', "prompt"),
        ("systemprompt", '{"prompt": "x", "more": 1}', "more"),
        ("systemprompt", '{"prompt": 1}', "prompt"),
        ("systemprompt", '"x"', None),
        ("systemprompt", "{", None),
        ("guardrails", '{"bannedPhrases": "x"}', "bannedPhrases"),
        ("guardrails", '{"bannedPhrases": [" "]}', "bannedPhrases[0]"),
        ("guardrails", '{"minLength": -1}', "minLength"),
        ("guardrails", '{"minLength": 5, "maxLength": 3}', "maxLength"),
        ("guardrails", '{"minLength": 10001}', "minLength"),
        ("guardrails", '{"maxLength": 0}', "maxLength"),
        ("guardrails", '{"requireDisclaimer": true}', "disclaimer"),
        ("guardrails", '{"banned_phrases": []}', "banned_phrases"),
    ],
)
def test_what_is_faulty_changes_nothing(
    served: Served, path: str, body: str, field: str | None
) -> None:
    served.curl(SET_PROMPT)
    served.curl(SET_GUARDRAILS)
    before = served.curl(GET_PROMPT), served.curl(GET_GUARDRAILS)
    line = f"curl 'http://localhost:8081/admin/{path}' -H 'Content-Type: application/json' -d '{body}'"
    status, answer = served.curl(line)
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (
        400,
        "invalid_request",
        field,
    ), answer
    assert "_length" not in answer["error"]["message"]
    assert (served.curl(GET_PROMPT), served.curl(GET_GUARDRAILS)) == before


def test_what_is_set_is_kept_audited_and_seen_elsewhere(
    gateway: MakeGateway, upstream: MakeUpstream
) -> None:
    served = Served(gateway, upstream(says("Fine.")), CROSSWAY_ADMIN_TOKEN=ADMIN_TOKEN)
    served.curl(SET_PROMPT)
    served.curl(SET_GUARDRAILS)
    served.curl(SET_PROMPT.replace("respond only in chinese", ""))
    prompts = served.gateway.admin("/environments/default/prompts")["data"]
    (guardrail,) = served.gateway.admin("/environments/default/guardrails")["data"]
    assert (prompts, guardrail["name"]) == ([], "legacy")
    assert guardrail["spec"]["banned_phrases"] == ["obscene", "words"]
    acts = [
        (entry["actor"], entry["action"])
        for entry in served.gateway.admin("/audit")["data"]
    ]
    assert len([act for act in acts if "anonymous" in str(act[0])]) == 3, acts
    served.gateway.stop()
    served.gateway.start(served.args)
    assert served.curl(GET_GUARDRAILS)[1]["bannedPhrases"] == ["obscene", "words"]


def test_without_keyless_mode_it_takes_a_token(
    gateway: MakeGateway, upstream: MakeUpstream
) -> None:
    env = {"CROSSWAY_ANONYMOUS": "off", "CROSSWAY_ADMIN_TOKEN": ADMIN_TOKEN}
    served = Served(gateway, upstream(says("Fine.")), **env)
    for line in (GET_PROMPT, SET_PROMPT, GET_GUARDRAILS, SET_GUARDRAILS):
        status, body = served.curl(line)
        assert (status, body["error"]["code"]) == (401, "unauthorized"), line
        assert served.curl(line, "openai", "-H 'Authorization: Bearer wrong'")[0] == 401
    token = f"-H 'Authorization: Bearer {ADMIN_TOKEN}'"
    assert served.curl(GET_PROMPT, "openai", token) == (200, {"prompt": ""})
    assert served.curl(SET_PROMPT, "openai", token) == (
        200,
        {"prompt": "respond only in chinese"},
    )
    assert "system prompt and the guardrails" not in served.gateway.log


def test_keyless_mode_opens_these_calls_alone(served: Served) -> None:
    served.gateway.wait(
        lambda: "/admin/systemprompt" in served.gateway.log, "the warning"
    )
    assert (
        call(served.gateway.admin_url, "/admin/v1/environments/default/prompts").status
        == 401
    )
    foreign = {"origin": "http://evil.example", "content-type": "application/json"}
    reply = call(
        served.gateway.admin_url,
        "/admin/systemprompt",
        {"prompt": "x"},
        headers=foreign,
    )
    assert reply.status == 403
    form = {"content-type": "text/plain"}
    reply = call(
        served.gateway.admin_url, "/admin/systemprompt", b'{"prompt":"x"}', headers=form
    )
    assert reply.status == 415
    assert served.curl(GET_PROMPT) == (200, {"prompt": ""})


def test_stats_count_what_happened(served: Served) -> None:
    served.curl(CHAT)
    served.curl(CHAT)
    status, stats = served.curl("curl 'http://localhost:8081/admin/stats'")
    assert status == 200
    assert (stats["requests"]["total"], stats["requests"]["succeeded"]) == (2, 2)
    (provider,) = stats["providers"]
    assert (
        provider["provider"],
        provider["attempts"],
        provider["errors"],
        provider["answers"],
    ) == ("openai", 2, 0, 2)
    usage = wire.completion()["usage"]
    assert stats["tokens"] == {
        "input": 2 * usage["prompt_tokens"],
        "output": 2 * usage["completion_tokens"],
    }
    assert provider["inputTokens"] == stats["tokens"]["input"]


@pytest.mark.parametrize("path", ["cache", "logging"])
def test_what_is_not_there_says_so(served: Served, path: str) -> None:
    for more in ("", " --data ''", " --request DELETE"):
        status, body = served.curl(f"curl 'http://localhost:8081/admin/{path}'{more}")
        assert (status, body["error"]["code"]) == (404, "not_found")
        assert "in this version" in body["error"]["hint"]


def test_a_prompt_of_the_file_is_changed_there(
    gateway: MakeGateway, upstream: MakeUpstream
) -> None:
    config = {"anonymous": "loopback", "prompts": {"legacy": {"text": "Of the file."}}}
    served: Gateway = gateway(config | {"providers": {}}, start=False)
    served.start()
    assert call(served.admin_url, "/admin/systemprompt").json == {
        "prompt": "Of the file."
    }
    reply = call(served.admin_url, "/admin/systemprompt", {"prompt": "x"})
    assert (reply.status, reply.json["error"]["code"]) == (409, "read_only")
    assert Path(served.config_file).name in reply.json["error"]["message"]
