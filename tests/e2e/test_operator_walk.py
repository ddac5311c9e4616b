"""A new operator, from an empty directory: provider, model, team, key, fallback, rotation, revocation, backup, restore."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.cli import run
from harness.gateway import ADMIN_TOKEN, Gateway
from harness.upstream import Request, Step, reply_json
from harness.wire import Reply, call

KINDS = "/admin/v1/environments/default"


def script(request: Request) -> list[Step]:
    """Answers as the model that was asked; one of them is broken."""
    if request.json["model"] == "broken":
        return [*reply_json({"error": {"message": "no"}}, status=500)]
    return [*reply_json(wire.completion(request.json["model"]))]


def api(served: Gateway, path: str, body: Any = None, method: str | None = None) -> Reply:
    """Asks the admin API."""
    return call(served.admin_url, path, key=ADMIN_TOKEN, body=body, method=method)


def chat(served: Gateway, key: str, model: str) -> Reply:
    """Asks a model."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    return call(served.url, "/v1/chat/completions", key=key, body=body)


def test_the_walk(gateway: MakeGateway, upstream: MakeUpstream, tmp_path: Path) -> None:
    """With the API where one would use curl, with commands where one would use a terminal."""
    served = gateway({})
    provider = {
        "kind": "openai-compatible",
        "base_url": upstream(script).base_url,
        "api_key": "sk-walk-canary",
    }
    made = api(served, f"{KINDS}/providers", {"name": "up", "spec": provider})
    assert made.status == 201 and b"sk-walk-canary" not in made.body, made.body
    for slug in ("broken", "sound"):
        model = {"slug": slug, "provider": "up", "input_price": "1", "output_price": "2"}
        assert api(served, f"{KINDS}/models", {"spec": model}).status == 201
    fallback = {"model": "broken", "fallbacks": ["sound"]}
    assert api(served, f"{KINDS}/fallbacks", {"spec": fallback}).status == 201
    assert api(served, f"{KINDS}/teams", {"name": "data", "spec": {}}).status == 201

    by_api = api(served, f"{KINDS}/keys", {"name": "by-api", "spec": {"team": "data"}}).json["secret"]
    created = run(
        served, "keys", "create", "--name", "by-cli", "--team", "data", "--owner", "ada@example.com",
        "--label", "stage=test", "--cost-tag", "walk", "--model", "sound", "--allowed-network", "127.0.0.0/8",
        "--surface", "openai.chat", "--expires-at", "2099-01-01T00:00:00Z", config=True,
    )  # fmt: skip
    assert created.code == 0, created.all
    by_cli = created.out.strip()
    listed = json.loads(run(served, "keys", "list", "--format", "json", config=True).out)
    spec = next(key["spec"] for key in listed if key["name"] == "by-cli")
    expires = spec.pop("expires_at")
    assert expires.startswith("2099-01-01T00:00:00")
    assert spec == {
        "team": "data",
        "models": ["sound"],
        "labels": {"stage": "test"},
        "cost_tags": ["walk"],
        "owner": "ada@example.com",
        "allowed_networks": ["127.0.0.0/8"],
        "surfaces": ["openai.chat"],
    }
    assert by_cli not in json.dumps(listed) and by_api not in json.dumps(listed)

    served.wait(lambda: chat(served, by_cli, "sound").status == 200, "the key of the command line")
    answer = chat(served, by_api, "broken")
    assert answer.status == 200 and answer.header("x-crossway-model") == "sound", "the fallback answered"
    assert chat(served, by_cli, "broken").header("x-crossway-model") == "sound", "the only one that the key may use"

    rotated = run(served, "keys", "rotate", "by-cli", "--grace", "1h", config=True)
    assert rotated.code == 0 and rotated.out.strip() != by_cli
    new = rotated.out.strip()
    served.wait(lambda: chat(served, new, "sound").status == 200, "the new secret")
    assert chat(served, by_cli, "sound").status == 200, "the old one, within the grace time"
    at_once = run(served, "keys", "rotate", "by-cli", "--grace", "0s", config=True).out.strip()
    served.wait(lambda: chat(served, new, "sound").status == 401, "the end of the old secret")
    assert chat(served, at_once, "sound").status == 200
    assert run(served, "keys", "revoke", "by-cli", config=True).code == 0
    served.wait(lambda: chat(served, at_once, "sound").status == 401, "the revocation")
    again = run(served, "keys", "rotate", "by-cli", config=True)
    assert again.code == 1 and "revoked" in again.err, again.all

    backup = tmp_path / "walk.tar"
    assert run(served, "backup", backup, "--include-master-key", config=True).code == 0
    served.kill()
    shutil.rmtree(served.folder / "data")
    assert run(served, "restore", backup, config=True).code == 0
    served.start()
    assert chat(served, by_api, "broken").status == 200
    assert chat(served, at_once, "sound").status == 401
    for text in (served.log, created.err, rotated.err):
        assert "sk-walk-canary" not in text


def test_no_environment_no_team(gateway: MakeGateway) -> None:
    """What is not there is named."""
    served = gateway({})
    for args, said in ((["--environment", "nowhere"], "nowhere"), (["--team", "nobody"], "team")):
        done = run(served, "keys", "create", "--name", "k", *args, config=True)
        assert done.code == 1 and said in done.err and done.out == "", done.all
    assert run(served, "openapi").out.startswith("{")
