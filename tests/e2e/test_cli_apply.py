"""Resources in a Git folder: apply, diff, export, check, and that no command ever shows a secret."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.cli import run
from harness.gateway import Gateway
from harness.upstream import Request, Step, reply_json
from harness.wire import call

CANARY = "sk-canary-7d1e55aa"
CHAT = {"model": "house-model", "messages": [{"role": "user", "content": "Hello"}]}


def script(request: Request) -> list[Step]:
    """Answers."""
    return [*reply_json(wire.completion("hello"))]


def folder(root: Path, base_url: str, description: str = "Data platform") -> Path:
    """Writes a folder as people keep it in version control."""
    files = {
        "providers/house.yaml": f"""
kind: provider
name: house
spec:
  kind: openai-compatible
  base_url: {base_url}
  credentials:
    - {{name: first, value: "${{HOUSE_KEY}}", weight: 3}}
  headers:
    X-Team: "${{HOUSE_KEY}}"
---
kind: model
name: house-model
spec:
  provider: house
  upstream_name: acme/house-7b
  input_price: 0.05
  output_price: 0.10
""",
        "people.yaml": f"""
kind: team
name: data
spec: {{description: {description}}}
---
kind: key
name: report
spec:
  team: data
  models: [house-model]
""",
        "guard.toml": """
kind = "guardrail"
name = "confidential"

[spec]
banned_phrases = ["Project Nightjar"]
apply_to = ["request", "reply"]
""",
        ".hidden/broken.yaml": "[",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


ENV = {"HOUSE_KEY": CANARY}


def no_secret(gateway: Gateway, *texts: str) -> None:
    """Checks that a secret is nowhere in what was printed or logged."""
    for text in (gateway.log, *texts):
        assert CANARY not in text


def test_a_folder_is_applied_and_compared(gateway: MakeGateway, upstream: MakeUpstream, tmp_path: Path) -> None:
    """Apply, no difference, a change, its difference, apply."""
    up = upstream(script)
    served = gateway({})
    files = folder(tmp_path / "resources", up.base_url)

    checked = run(served, "check", "-f", files, config=True, env=ENV)
    assert (checked.code, checked.err) == (0, ""), checked.all
    before = run(served, "diff", "-f", files, env=ENV)
    assert before.code == 1, before.all
    assert "@@ create provider default/house @@" in before.out and "(secret)" in before.out

    dry = run(served, "apply", "-f", files, "--dry-run", env=ENV)
    assert dry.code == 0 and "nothing was changed" in dry.out, dry.all
    secrets = tmp_path / "secrets.jsonl"
    applied = run(served, "apply", "-f", files, "--key-secrets", secrets, env=ENV)
    assert applied.code == 0, applied.all
    assert "5 created, 0 updated, 0 unchanged" in applied.out
    assert secrets.stat().st_mode & 0o777 == 0o600
    key = json.loads(secrets.read_text())["secret"]
    assert key.startswith("sk-cw-") and key not in applied.all

    reply = call(served.url, "/v1/chat/completions", key=key, body=CHAT)
    assert reply.status == 200, reply.body
    asked = up.journal[-1].request
    assert (asked.header("authorization"), asked.header("x-team")) == (f"Bearer {CANARY}", CANARY)

    same = run(served, "diff", "-f", files, env=ENV)
    assert (same.code, same.out) == (0, ""), same.all
    again = run(served, "apply", "-f", files, env=ENV)
    assert again.code == 0 and "0 created, 0 updated, 5 unchanged" in again.out, again.all

    folder(files, up.base_url, description="Everything about data")
    changed = run(served, "diff", "-f", files, env=ENV)
    assert changed.code == 1
    assert changed.out == (
        "@@ update team default/data @@\n"
        '- description: "Data platform"\n'
        '+ description: "Everything about data"\n'
    ), changed.all
    rotated = run(served, "diff", "-f", files, env={"HOUSE_KEY": "sk-another"})
    assert rotated.code == 1 and "provider default/house" in rotated.out and "sk-another" not in rotated.all
    applied = run(served, "apply", "-f", files, env=ENV)
    assert "updated   team default/data: description\n" in applied.out, applied.all
    assert run(served, "diff", "-f", files, env=ENV).code == 0
    no_secret(served, checked.all, before.all, dry.all, applied.all, changed.all, rotated.all)


def test_faults_have_files_and_lines(gateway: MakeGateway, upstream: MakeUpstream, tmp_path: Path) -> None:
    """Faults that the files show and faults that only the gateway knows: all of them, and nothing is changed."""
    served = gateway({})
    files = folder(tmp_path / "resources", upstream(script).base_url)
    (files / "z.yaml").write_text("\nkind: model\nname: other\nspec:\n  provider: nobody\n  input_price: -1\n")
    for command in ("apply", "diff"):
        done = run(served, command, "-f", files, env=ENV)
        assert done.code == {"apply": 1, "diff": 2}[command], done.all
        assert f"{files}/z.yaml:5: models.other.provider: " in done.err, done.all
        assert f"{files}/z.yaml:6: models.other.input_price: " in done.err, done.all
    (files / "y.yaml").write_text("kind: team\nname: x\nspec: {descripton: a}\n---\nkind: tem\nname: y\nspec: {}\n")
    done = run(served, "apply", "-f", files, env={})
    assert done.code == 1
    for expected in (
        f"{files}/providers/house.yaml:8: ",
        "environment variable HOUSE_KEY is not set",
        f"{files}/y.yaml:3: teams.x.descripton: unknown setting (did you mean description?)",
        f"{files}/y.yaml:5: kind: unknown kind (did you mean team?)",
        "nothing was sent",
    ):
        assert expected in done.err, done.all
    exported = run(served, "export")
    assert "house" not in exported.out, "nothing was applied"
    no_secret(served, done.all, exported.all)


def test_an_export_goes_back_and_elsewhere(gateway: MakeGateway, upstream: MakeUpstream, tmp_path: Path) -> None:
    """To the same gateway it is no change; another one names the secrets that it lacks, and takes it with them."""
    up = upstream(script)
    served = gateway({})
    files = folder(tmp_path / "resources", up.base_url)
    assert run(served, "apply", "-f", files, env=ENV).code == 0
    for form in ("yaml", "toml"):
        out = tmp_path / form
        exported = run(served, "export", "-o", out, "--format", form)
        assert exported.code == 0, exported.all
        first = {path: path.read_text() for path in out.rglob(f"*.{form}")}
        assert len(first) >= 5 and run(served, "export", "-o", out, "--format", form).code == 0
        assert {path: path.read_text() for path in out.rglob(f"*.{form}")} == first, "the same again"
        no_secret(served, *first.values())
    env = {"HOUSE_X_TEAM": CANARY}
    back = run(served, "diff", "-f", tmp_path / "yaml")
    assert (back.code, back.out) == (0, ""), back.all
    back = run(served, "diff", "-f", tmp_path / "toml", env=env)
    assert back.code == 0, back.all

    other = gateway({})
    lacking = run(other, "apply", "-f", tmp_path / "yaml")
    assert lacking.code == 1 and "house.yaml:" in lacking.err, lacking.all
    provider = tmp_path / "yaml/default/providers/house.yaml"
    text = provider.read_text()
    assert "credentials[0].value: ${HOUSE_KEY_FIRST}" in text and "headers.X-Team: ${HOUSE_X_TEAM}" in text
    text = text.replace("{name: first,", '{name: first, value: "${HOUSE_KEY_FIRST}",')
    provider.write_text(text.replace("X-Team: null", 'X-Team: "${HOUSE_X_TEAM}"'))
    secrets = tmp_path / "secrets"
    env = {"HOUSE_KEY_FIRST": CANARY, "HOUSE_X_TEAM": CANARY}
    taken = run(other, "apply", "-f", tmp_path / "yaml", "--key-secrets", secrets, env=env)
    assert taken.code == 0, taken.all
    keys = [json.loads(line) for line in secrets.read_text().splitlines()]
    key = next(key["secret"] for key in keys if key["name"] == "report")
    reply = call(other.url, "/v1/chat/completions", key=key, body=CHAT)
    assert reply.status == 200, reply.body
    no_secret(other, lacking.all, taken.all)


def test_what_cannot_be_asked_is_said(gateway: MakeGateway, tmp_path: Path) -> None:
    """No token, the wrong one, nobody there, something else there, a file that comes from crossway.toml."""
    served = gateway({"providers": {"up": {"kind": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": CANARY}}})
    file = tmp_path / "r.yaml"
    file.write_text("kind: provider\nname: up\nspec: {kind: openai, api_key: x}\n")
    refused = run(served, "apply", "-f", file)
    assert refused.code == 1 and "r.yaml:1: providers.up: " in refused.err and "crossway.toml:" in refused.err, refused.all
    file.write_text("kind: team\nname: t\nspec: {}\n")
    wrong = run(served, "apply", "-f", file, env={"CROSSWAY_ADMIN_TOKEN": "no"})
    assert wrong.code == 1 and "does not know the token" in wrong.err, wrong.all
    none = run(served, "apply", "-f", file, env={"CROSSWAY_ADMIN_TOKEN": ""})
    assert none.code == 1 and "CROSSWAY_ADMIN_TOKEN" in none.err, none.all
    gone = run(served, "diff", "-f", file, "--server", "http://127.0.0.1:9")
    assert gone.code == 2 and "is it running?" in gone.err, gone.all
    for server, said in (
        (served.url, "that is the data plane"),
        (served.admin_url.replace("http:", "https:"), "does it speak https"),
        (served.admin_url.removeprefix("http://"), "write it like http://127.0.0.1:8081"),
    ):
        elsewhere = run(served, "diff", "-f", file, "--server", server)
        assert elsewhere.code == 2 and said in elsewhere.err, elsewhere.all
    data = run(served, "diff", "-f", file, "--server", served.url)
    assert data.code == 2, data.all
    token = tmp_path / "token"
    token.write_text("admin-token-of-the-tests\n")
    good = run(served, "apply", "-f", file, "--token-file", token, env={"CROSSWAY_ADMIN_TOKEN": ""})
    assert good.code == 0, good.all
    missing = run(served, "apply", "-f", tmp_path / "none")
    assert missing.code == 1 and "cannot be read" in missing.err, missing.all
    no_secret(served, refused.all, wrong.all, none.all, gone.all, data.all, good.all)


def test_three_hundred_faults_are_named_at_once(gateway: MakeGateway, tmp_path: Path) -> None:
    """Every one with its line."""
    served = gateway({})
    file = tmp_path / "r.yaml"
    file.write_text("".join(f"---\nkind: team\nname: t{number}\nspec: {{descripton: x}}\n" for number in range(300)))
    done = run(served, "check", "-f", file, config=True)
    assert done.code == 1
    lines = [line for line in done.err.splitlines() if "descripton" in line]
    assert [int(line.removeprefix(str(file)).split(":")[1]) for line in lines] == [4 * n + 4 for n in range(300)]
