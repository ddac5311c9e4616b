"""The pages about money, as an operator reads them: their files and lines work, and their examples are true to the last digit."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.calm import one_month
from harness.cli import run
from harness.gateway import ADMIN_TOKEN, Config, Gateway, model, provider
from harness.upstream import Request, Step, Wait, reply_json
from harness.wire import Reply, call

DOCS = Path(__file__).resolve().parents[2] / "docs"

# The request of both pages: 72 bytes, of which 9 tokens are reported, and 4 come back.
BODY = b'{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}'
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def blocks(page: str, language: str) -> list[str]:
    """Returns the code of a page in one language."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```", (DOCS / page).read_text(), re.M | re.S)
    return [textwrap.dedent(text) for _, of, text in found if of == language]


def config(base_url: str, **more: Any) -> Config:
    """The model of the examples: 2 dollars per million input tokens, 8 per million output tokens."""
    priced = model("m", input_price=2, output_price=8)
    return {"providers": {"up": provider(base_url)}, "models": [priced]} | more


def answer(_: Request) -> list[Step]:
    return reply_json(wire.completion("one two three four", usage=USAGE))


def shell(served: Gateway, line: str) -> str:
    """Runs a line of a page."""
    env = {"PATH": "/usr/bin:/bin", "CROSSWAY_ADMIN_URL": served.admin_url, "CROSSWAY_ADMIN_TOKEN": ADMIN_TOKEN}
    done = subprocess.run(["bash", "-e", "-c", line], env=env, capture_output=True, timeout=60)
    assert done.returncode == 0, f"{line}\n{done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout.decode()


def admin(served: Gateway, path: str, body: Any = None, method: str | None = None) -> Reply:
    return call(served.admin_url, f"/admin/v1/environments/default/{path}", body, key=ADMIN_TOKEN, method=method)


def test_every_file_of_the_pages_is_good(gateway: MakeGateway, tmp_path: Path) -> None:
    """What a page writes into crossway.toml passes `crossway check`, with the names it speaks of."""
    known = '[providers.gpu-box]\nkind = "openai-compatible"\nbase_url = "http://127.0.0.1:9/v1"\n\n'
    for page in ["limits-and-budgets.md", "billing.md", "alerts.md"]:
        texts = blocks(page, "toml")
        assert texts, page
        for text in texts:
            served = gateway({}, start=False)
            file = tmp_path / "crossway.toml"
            file.write_text(known + text)
            done = run(served, "check", "--config", file, env={"SMTP_PASSWORD": "secret"})
            assert done.code == 0, f"{page}\n{text}\n{done.all}"


def test_the_example_of_billing_is_true(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    assert len(BODY) == 72
    one_month()
    hold = threading.Event()
    up = upstream(lambda request: [Wait(hold), *answer(request)])
    served = gateway(config(up.base_url, environment={"billing": {"enabled": True, "margin_percent": 5.5}}))
    refused = served.chat(BODY)
    assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_credits")
    assert refused.header("x-should-retry") == "false" and refused.header("retry-after") == "86400"
    lines = blocks("billing.md", "sh")
    posted = json.loads(shell(served, lines[0]))
    assert posted["balance_usd"] == "1"
    assert json.loads(shell(served, lines[0]))["entry"]["id"] == posted["entry"]["id"], "a reference is posted once"
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(served.chat, BODY)
        served.wait(lambda: len(up.journal) == 1, "the request")
        held = admin(served, "balance").json
        assert (held["held_usd"], held["available_usd"]) == ("0.00018568", "0.99981432")
        hold.set()
        assert asked.result().status == 200
    served.wait(lambda: admin(served, "balance").json["held_usd"] == "0", "the charge")
    balance = admin(served, "balance").json
    assert (balance["balance_usd"], balance["available_usd"]) == ("0.99994725", "0.99994725")
    accounts = {name: balance["accounts"][name] for name in ("credits", "funding", "cost", "margin")}
    assert accounts == {"credits": "0.99994725", "funding": "-1", "cost": "0.00005", "margin": "0.00000275"}
    charge, top_up = admin(served, "ledger").json["data"]
    assert charge["postings"] == {"credits": "-0.00005275", "cost": "0.00005", "margin": "0.00000275"}
    assert top_up["postings"] == {"credits": "1", "funding": "-1"}
    for text in blocks("billing.md", ""):
        for line in text.strip().splitlines():
            program, *args = shlex.split(line)
            assert program == "crossway"
            done = run(served, *args, config=True)
            assert done.code == 0, f"{line}\n{done.all}"
    assert admin(served, "balance").json["accounts"]["funding"] == "-26.5"
    statement = admin(served, "statement?format=csv").body.decode()
    assert statement.splitlines()[-1].endswith(",26.49994725"), statement


def test_the_example_of_limits_is_true(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    one_month()
    hold = threading.Event()
    up = upstream(lambda request: [Wait(hold), *answer(request)])
    served = gateway(config(up.base_url))
    limits = [{"meter": "usd", "window": "month", "amount": "0.0005"}]
    made = admin(served, "keys", {"name": "checkout", "spec": {"limits": limits}})
    assert made.status == 201, made.body
    secret = made.json["secret"]

    def standing() -> tuple[str, str]:
        limit = admin(served, "limits/effective?key=checkout").json["data"][0]
        return limit["used"], limit["remaining"]

    with ThreadPoolExecutor(11) as pool:
        asked = [pool.submit(served.chat, BODY, key=secret) for _ in range(11)]
        served.wait(lambda: sum(one.done() for one in asked) == 9, "nine refusals")
        served.wait(lambda: len(up.journal) == 2, "two requests at the upstream")
        assert standing() == ("0.000352", "0.000148")
        hold.set()
        replies = [one.result() for one in asked]
    codes = sorted(reply.json["error"]["code"] if reply.status == 429 else "" for reply in replies)
    assert codes == ["", "", *["budget_exceeded"] * 9]
    for reply in replies:
        if reply.status == 429:
            assert reply.header("x-should-retry") == "false" and int(reply.header("retry-after")) > 0
    served.wait(lambda: standing() == ("0.0001", "0.0004"), "what was used instead of what was held")
    assert served.chat(BODY, key=secret).status == 200, "the next fits again"
    shown = run(served, "limits", "show", "--key", "checkout")
    assert shown.code == 0 and re.search(r"usd +month +key:checkout +all +0\.0005 +0\.00015 +0\.00035", shown.out), shown.all


def test_the_command_line_says_who_used_most(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    served = gateway(config(upstream(answer).base_url))
    spec = {"meter": "requests", "window": "60s", "amount": 5, "scope": "user"}
    assert admin(served, "limits", {"name": "each-user", "spec": spec}).status == 201
    for user in ["ann", "ann", "bob"]:
        body = {"model": "m", "user": user, "messages": [{"role": "user", "content": "hi"}]}
        assert served.chat(body).status == 200
    done = run(served, "limits", "usage", "each-user")
    assert done.code == 0, done.all
    rows = [line.split()[:5] for line in done.out.splitlines()]
    assert rows[1:3] == [["user", "ann", "all", "2", "3"], ["user", "bob", "all", "1", "4"]], done.out
    for name, what in [(["limits", "usage", "nothing"], "no limit of this name"), (["limits", "show", "--key", "x"], "no key")]:
        refused = run(served, *name)
        assert refused.code == 1 and what in refused.err, refused.all


def test_the_lines_of_alerts_and_webhooks_work(gateway: MakeGateway, tmp_path: Path) -> None:
    served = gateway({})
    for line in blocks("webhooks.md", "sh"):
        assert '"secret":"whsec_' in shell(served, line)
    assert admin(served, "webhooks/operations/test", {}).json["ok"] is False, "nobody is there"
    assert admin(served, "keys", {"name": "checkout", "spec": {}}).status == 201
    for text in blocks("alerts.md", "yaml"):
        file = tmp_path / "alert.yaml"
        file.write_text(text)
        done = run(served, "apply", "-f", file)
        assert done.code == 0 and "created   alert" in done.out, done.all
