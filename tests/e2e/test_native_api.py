"""The native API on a running gateway: the lines of its page, and a key that is made, used and ended over it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.gateway import ADMIN_TOKEN, simple
from harness.upstream import reply_json
from harness.wire import call

PAGE = Path(__file__).parents[2] / "docs" / "native-api.md"


def test_the_lines_of_the_page_run_in_their_order(gateway: MakeGateway) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert len(blocks) == 2
    served = gateway({})
    env = {
        "PATH": "/usr/bin:/bin",
        "CROSSWAY_URL": served.url,
        "CROSSWAY_ADMIN_URL": served.admin_url,
        "CROSSWAY_ADMIN_TOKEN": ADMIN_TOKEN,
    }
    done = subprocess.run(["bash", "-e", "-c", "\n".join(blocks)], env=env, capture_output=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout.decode()}{done.stderr.decode()}"
    assert '"state":"revoked"' in done.stdout.decode()


def test_a_key_of_the_command_line_manages_others(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    up = upstream(lambda _: reply_json(wire.completion("hello")))
    served = gateway(simple(up.base_url))
    manager = served.cli("keys", "create", "--name", "portal", "--management").strip()
    assert re.fullmatch(r"sk-cw-mgmt-[0-9a-f]{64}", manager)
    served.wait(lambda: call(served.url, "/api/v1/account", key=manager).status == 200, "the key to work", 2)
    made = call(served.url, "/api/v1/keys", {"name": "app", "spec": {}}, key=manager)
    assert made.status == 201
    secret = made.json["secret"]
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert call(served.url, "/v1/chat/completions", body, key=secret).status == 200
    assert call(served.url, "/v1/chat/completions", body, key=manager).status == 403
    assert call(served.admin_url, "/admin/v1/me", key=manager).status == 401
    served.wait(lambda: call(served.url, "/api/v1/usage", key=manager).json["total"]["requests"] == 1, "the usage")
    assert call(served.url, "/api/v1/keys/app/revoke", {}, key=manager).status == 200
    refused = call(served.url, "/v1/chat/completions", body, key=secret)
    assert (refused.status, refused.json["error"]["code"]) == (401, "revoked_api_key")
