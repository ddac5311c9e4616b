"""Webhooks and alerts by a real process: verified by Node and Python, survived, mailed through a real mail server."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import node
from harness import openai_wire as wire
from harness.calm import calmly, one_month
from harness.gateway import ADMIN_TOKEN, Gateway, simple
from harness.receiver import Delivery, MailServer, Receiver, certificate, until
from harness.wire import Reply, call

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "webhooks.md").read_text()
SECRET = "whsec_canary_b51e9d0c7f"
PRIVATE = {"webhooks_private": True}


def example(language: str) -> str:
    """The example of the page."""
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]  # type: ignore[index]


def admin(gateway: Gateway, method: str, path: str, body: Any = None) -> Reply:
    return call(gateway.admin_url, f"/admin/v1/environments/default/{path}", body, key=ADMIN_TOKEN, method=method)


def subscribe(gateway: Gateway, name: str, url: str, events: list[str], **more: Any) -> Reply:
    spec = {"url": url, "events": events, "secret": SECRET} | more
    made = admin(gateway, "POST", "webhooks", {"name": name, "spec": spec})
    assert made.status == 201, made.body
    return made


def verified(folder: Path, questions: list[dict[str, Any]]) -> list[bool]:
    """What Node says of deliveries."""
    script = folder / "verify.mjs"
    script.write_text(example("js"))
    program = ROOT / "tests" / "e2e" / "node" / "webhooks.mjs"
    command = [node.binary(), str(program), str(script), json.dumps(questions)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def question(delivery: Delivery, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    body = base64.b64encode(delivery.body).decode()
    return {"body": body, "headers": delivery.headers, "secret": secret, "now": time.time()} | more


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_delivery_is_verified_as_the_page_says(
    gateway: MakeGateway, upstream: MakeUpstream, receiver: Receiver, tmp_path: Path
) -> None:
    """HOOK-01."""
    up = upstream(wire.answer)
    served = gateway(simple(up.url) | PRIVATE)
    header = {"signature_header": "X-ComputeBoard-Signature"}
    subscribe(served, "h", receiver.url, ["request.completed"], **header)
    reply = served.chat({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    assert reply.status == 200
    delivery = until(lambda: receiver.deliveries, "a delivery")[0]
    event = json.loads(delivery.body)
    assert event["type"] == "request.completed" and event["data"]["request_id"] == reply.json["id"]
    assert event["data"]["usage"]["total_tokens"] == reply.json["usage"]["total_tokens"]
    plain = "x-computeboard-signature"
    forged = Delivery(delivery.headers, delivery.body.replace(b"request.completed", b"request.forged"))
    asked = [
        question(delivery),
        question(delivery, plain=plain),
        question(delivery, secret="whsec_another_secret"),
        question(delivery, secret="whsec_another_secret", plain=plain),
        question(delivery, now=time.time() + 600),
        question(forged),
        question(forged, plain=plain),
    ]
    assert verified(tmp_path, asked) == [True, True, False, False, False, False, False]
    scope: dict[str, Any] = {}
    exec(example("python"), scope)  # noqa: S102 - it is the example of our own page
    headers = {"X-Crossway-" + name: delivery.headers["x-crossway-" + name.lower()] for name in ("Timestamp", "Signature-V2")}
    assert scope["verify"](delivery.body, headers, SECRET)
    assert not scope["verify"](delivery.body, headers, "whsec_another_secret")
    assert not scope["verify"](delivery.body, headers, SECRET, time.time() + 600)


def test_a_secret_is_replaced_without_a_gap(gateway: MakeGateway, upstream: MakeUpstream, receiver: Receiver, tmp_path: Path) -> None:
    """HOOK-01: both secrets verify during the overlap."""
    served = gateway(simple(upstream(wire.answer).url) | PRIVATE)
    subscribe(served, "h", receiver.url, ["key.created"])
    rotated = admin(served, "POST", "webhooks/h/rotate", {"grace": "1h"})
    assert rotated.status == 200, rotated.body
    admin(served, "POST", "keys", {"name": "k", "spec": {}})
    delivery = until(lambda: receiver.deliveries, "a delivery")[0]
    asked = [question(delivery), question(delivery, secret=rotated.json["secret"]), question(delivery, secret="x" * 20)]
    assert verified(tmp_path, asked) == [True, True, False]
    assert SECRET not in served.log and rotated.json["secret"] not in served.log


def test_what_waits_survives_a_kill(gateway: MakeGateway, upstream: MakeUpstream, receiver: Receiver) -> None:
    """Deliveries that failed before the process was killed come after it, under their ids."""
    receiver.status = 500
    served = gateway(simple(upstream(wire.answer).url) | PRIVATE)
    subscribe(served, "h", receiver.url, ["key.created"])
    admin(served, "POST", "keys", {"name": "k", "spec": {}})
    first = until(lambda: receiver.deliveries, "a first try")[0]
    deliveries = lambda: admin(served, "GET", "webhooks/h/deliveries").json["data"]  # noqa: E731
    until(lambda: deliveries()[0]["response_status"] == 500, "the try to be written down")
    served.kill()
    receiver.status = 204
    served.start()
    until(lambda: len(receiver.deliveries) > 1, "a second try")
    assert {delivery.body for delivery in receiver.deliveries} == {first.body}
    log = until(lambda: [one for one in deliveries() if one["status"] == "delivered"], "the log")
    assert log[0]["attempts"] == 2 and log[0]["response_status"] == 204


def test_dead_receivers_cost_requests_nothing(gateway: MakeGateway, upstream: MakeUpstream, receiver: Receiver) -> None:
    """DEP-03: one that stalls, one that is gone; requests and the good one go on."""
    slow = Receiver(stalls=True)
    served = gateway(simple(upstream(wire.answer).url) | PRIVATE)
    subscribe(served, "slow", slow.url, ["request.completed"])
    subscribe(served, "gone", "http://127.0.0.1:1/", ["request.completed"])
    subscribe(served, "good", receiver.url, ["request.completed"])
    started, asked = time.monotonic(), 0

    def measure() -> float:
        """How long it takes until the good one is told of forty requests."""
        nonlocal asked
        asked, began = asked + 40, time.monotonic()
        for _ in range(40):
            assert served.chat({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).status == 200
        until(lambda: len(receiver.deliveries) >= asked, "every delivery to the good one")
        return time.monotonic() - began

    # Who waits for the slow one waits for ten seconds.
    took = calmly(measure, lambda took: took < 8)
    assert took < 8
    assert len({json.loads(one.body)["id"] for one in receiver.deliveries}) == len(receiver.deliveries) == asked
    assert len(slow.deliveries) <= 4 * (1 + (time.monotonic() - started) // 10), "four at a time"
    sent = rf"^crossway_webhook_deliveries_sent_total {asked}$"
    metrics = lambda: call(served.admin_url, "/metrics").body.decode()  # noqa: E731
    until(lambda: re.search(sent, metrics(), re.MULTILINE), "the count")
    slow.close()


def test_private_addresses_are_refused(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """SSRF-02: at the save, and `localhost` is one."""
    served = gateway(simple(upstream(wire.answer).url))
    for url in ("http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]/", "http://169.254.169.254/", "http://0x7f.1/"):
        spec = {"url": url, "events": ["*"]}
        refused = admin(served, "POST", "webhooks", {"name": "h", "spec": spec})
        assert refused.status == 400 and refused.json["error"]["field"] == "spec.url", url


BUDGET = {"limits": [{"meter": "usd", "window": "month", "amount": 0.002, "scope": "key"}]}


def spend(served: Gateway, mail: MailServer) -> None:
    """Asks until the budget is used up; a request costs 0.000011 dollars. Who is refused is told of only when somebody has
    begun to look, which the first email shows."""
    for number in range(300):
        reply = served.chat({"model": "m", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]})
        if reply.status == 429:
            return
        if number == 140:
            mailed(mail, {"70 %"})
    raise AssertionError("the budget is never used up")


def mailed(mail: MailServer, shares: set[str]) -> list[str]:
    """Waits until every share was mailed; returns the subjects."""
    subjects = lambda: [str(message["subject"]) for message in mail.messages]  # noqa: E731
    until(lambda: all(any(share in subject for subject in subjects()) for share in shares), f"{shares} in {subjects()}")
    return subjects()


def alert(served: Gateway, emails: list[str]) -> None:
    spec = {"emails": emails, "description": "who is told"}
    made = admin(served, "POST", "alerts", {"name": "budgets", "spec": spec})
    assert made.status == 201, made.body


def test_shares_of_a_budget_are_mailed(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """W3 and L4: 70, 90 and 100 % by email, once each."""
    mail = MailServer()
    smtp = {"host": "127.0.0.1", "port": mail.port, "tls": "none", "from": "Crossway <crossway@example.com>"}
    one_month()
    served = gateway(simple(upstream(wire.answer).url) | BUDGET | {"smtp": smtp})
    alert(served, ["ops@example.com", "boss@example.com"])
    spend(served, mail)
    subjects = mailed(mail, {"70 %", "90 %", "does not cover"})
    until(lambda: len(mail.messages) >= 6, f"both receivers of each of {subjects}")
    # Counters are looked at once a second: what is told twice comes now.
    time.sleep(2.5)
    assert len(mail.messages) == 6, [str(message["subject"]) for message in mail.messages]
    assert sorted({receiver for receivers in mail.receivers for receiver in receivers}) == ["boss@example.com", "ops@example.com"]
    message = mail.messages[0]
    assert message.get_content_type() == "text/plain" and "used_pct" in message.get_content()
    assert message["from"] == "Crossway <crossway@example.com>" and "evt_" in message["message-id"]
    served.stop()
    served.start()
    time.sleep(2.5)
    assert len(mail.messages) == 6, "a restart repeats nothing"
    mail.close()


def test_an_alert_is_tried_out_and_its_emails_are_listed(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    mail = MailServer()
    smtp = {"host": "127.0.0.1", "port": mail.port, "tls": "none", "from": "crossway@example.com"}
    one_month()
    served = gateway(simple(upstream(wire.answer).url) | BUDGET | {"smtp": smtp})
    alert(served, ["ops@example.com", "boss@example.com"])
    tried = admin(served, "POST", "alerts/budgets/test", {})
    assert tried.status == 200 and tried.json["ok"] is True, tried.body
    assert [(one["address"], one["response_status"]) for one in tried.json["emails"]] == [
        ("ops@example.com", 250),
        ("boss@example.com", 250),
    ]
    mailed(mail, {"A trial of the alert"})
    assert admin(served, "GET", "alerts/budgets/deliveries").json["data"] == [], "a trial is not in the log"
    spend(served, mail)
    mailed(mail, {"70 %", "90 %", "does not cover"})
    listed = lambda: admin(served, "GET", "alerts/budgets/deliveries?status=delivered").json["data"]  # noqa: E731
    log = until(lambda: listed() if len(listed()) == 6 else None, "six emails")
    assert {one["address"] for one in log} == {"ops@example.com", "boss@example.com"}
    before = len(mail.messages)
    again = admin(served, "POST", f"alerts/budgets/deliveries/{log[0]['id']}/redeliver", {})
    assert again.status == 202, again.body
    until(lambda: len(mail.messages) == before + 1, "the email once more")
    assert mail.receivers[-1] == [log[0]["address"]]
    mail.close()
    away = admin(served, "POST", "alerts/budgets/test", {}).json
    assert away["ok"] is False and "cannot be reached" in away["emails"][0]["error"], away
    assert "not tried" in away["emails"][1]["error"], away


def test_email_is_encrypted_and_signed_in(gateway: MakeGateway, upstream: MakeUpstream, tmp_path: Path) -> None:
    """STARTTLS with a certificate that is checked, and a login."""
    files = certificate(tmp_path)
    mail = MailServer(files, ("crossway", "canary-mail-7d31"))
    smtp = {"host": "127.0.0.1", "port": mail.port, "user": "crossway", "from": "crossway@example.com"}
    env = {"CROSSWAY_SMTP_PASSWORD": "canary-mail-7d31", "SSL_CERT_FILE": str(files.authority)}
    served = gateway(simple(upstream(wire.answer).url) | {"smtp": smtp}, env=env)
    spec = {"emails": ["ops@example.com"], "events": ["key.*"]}
    assert admin(served, "POST", "alerts", {"name": "keys", "spec": spec}).status == 201
    name = "a\u00fc <b>x</b> Bcc: evil@example.com"
    assert admin(served, "POST", "keys", {"name": name, "spec": {}}).status == 201
    subjects = mailed(mail, {"key.created"})
    assert mail.logins == [True] and mail.receivers == [["ops@example.com"]]
    assert name in subjects[0] and mail.messages[0]["bcc"] is None
    assert "canary-mail" not in served.log + mail.messages[0].as_string()
    mail.close()


def test_a_wrong_certificate_sends_nothing(gateway: MakeGateway, upstream: MakeUpstream, tmp_path: Path) -> None:
    mail = MailServer(certificate(tmp_path))
    smtp = {"host": "127.0.0.1", "port": mail.port, "from": "crossway@example.com"}
    served = gateway(simple(upstream(wire.answer).url) | {"smtp": smtp})
    spec = {"emails": ["ops@example.com"], "events": ["key.*"]}
    assert admin(served, "POST", "alerts", {"name": "keys", "spec": spec}).status == 201
    assert admin(served, "POST", "keys", {"name": "k", "spec": {}}).status == 201
    failed = r"crossway_event_deliveries_failed_total [1-9]"
    until(lambda: re.search(failed, call(served.admin_url, "/metrics").body.decode()), "a failed try")
    assert not mail.messages
    mail.close()


def test_an_address_that_is_refused_is_not_tried_again(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    mail = MailServer()
    mail.refuse = "550 no such user here"
    smtp = {"host": "127.0.0.1", "port": mail.port, "tls": "none", "from": "crossway@example.com"}
    served = gateway(simple(upstream(wire.answer).url) | {"smtp": smtp})
    spec = {"emails": ["nobody@example.com"], "events": ["key.*"]}
    assert admin(served, "POST", "alerts", {"name": "keys", "spec": spec}).status == 201
    assert admin(served, "POST", "keys", {"name": "k", "spec": {}}).status == 201
    dead = r"crossway_event_deliveries_dead_total 1"
    until(lambda: re.search(dead, call(served.admin_url, "/metrics").body.decode()), "a dead letter")
    until(lambda: "A delivery is given up" in served.log, "the log")
    assert "nobody@example.com" not in served.log
    mail.close()
