"""Signing in through an OpenID provider: a real one, and one that lies."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest

from conftest import MakeGateway
from harness.gateway import ADMIN_TOKEN, Gateway
from harness.oidc import CLIENT, Answer, Browser, LyingProvider, RealProvider, b64
from harness.ports import reserved
from harness.wire import call

START, CALLBACK = "/admin/v1/oidc/start", "/admin/v1/oidc/callback"
PEOPLE = {
    "ann": {"email": "ann@x.test", "email_verified": True, "name": "Ann", "groups": ["staff", "ops"]},
    "bob": {"email": "bob@x.test", "email_verified": True, "groups": ["staff"]},
    "eve": {"email": "eve@x.test", "email_verified": False, "groups": ["ops"]},
    "max": {"email": "max@other.test", "email_verified": True, "groups": ["ops"]},
}


def settings(issuer: str, **more: Any) -> dict[str, Any]:
    """The `[oidc]` table."""
    return {"issuer": issuer} | CLIENT | more


def me(gateway: Gateway, browser: Browser) -> Answer:
    """Who the browser is signed in as."""
    return browser.ask(gateway.admin_url + "/admin/v1/session")


# --- a real provider


@pytest.fixture(scope="module")
def real(shared_gateway: MakeGateway) -> Iterator[tuple[Gateway, RealProvider]]:
    admin, port = reserved(), reserved()
    callback = f"http://127.0.0.1:{admin}{CALLBACK}"
    provider = RealProvider(port, callback, PEOPLE)
    oidc = settings(
        provider.issuer,
        scopes=["openid", "email", "profile", "groups"],
        role_claim="groups",
        default_role="viewer",
        allowed_domains=["x.test"],
        role_map={"ops": "operator"},
    )
    yield shared_gateway({"admin_listen": f"127.0.0.1:{admin}", "oidc": oidc}), provider
    provider.close()


def walk(real: tuple[Gateway, RealProvider], browser: Browser, who: str) -> str:
    gateway, provider = real
    started = browser.ask(gateway.admin_url + START)
    assert started.status == 303, started.body
    return provider.walk(browser, started.location, who, gateway.admin_url + CALLBACK)


@pytest.mark.parametrize(("who", "role", "number"), [("ann", "operator", 2), ("bob", "viewer", 3)])
def test_a_real_provider_signs_people_in(real: tuple[Gateway, RealProvider], who: str, role: str, number: int) -> None:
    gateway, browser = real[0], Browser(f"127.0.0.{number}")
    back = browser.ask(walk(real, browser, who))
    assert back.status == 303 and back.headers["location"] == "/", back.body
    cookies = back.headers.get_all("set-cookie") or []
    session = next(line for line in cookies if line.startswith("crossway_session="))
    assert "HttpOnly" in session and "SameSite=Strict" in session
    assert any(line.startswith("crossway_oidc=;") for line in cookies), "what bound the browser is gone"
    shown = me(gateway, browser)
    assert shown.status == 200, shown.body
    seen = shown.json
    assert (seen["name"], seen["role"]) == (f"{who}@x.test", role)
    assert seen["user"]["status"]["has_sso"] and not seen["user"]["status"]["has_password"]
    again = Browser(f"127.0.0.{number}")
    assert browser.ask(walk(real, again, who)).status == 400, "another browser cannot use it"
    assert again.ask(walk(real, again, who)).status == 303
    assert me(gateway, again).json["user"]["id"] == seen["user"]["id"]


@pytest.mark.parametrize(("who", "number"), [("eve", 4), ("max", 5)])
def test_who_is_not_admitted_stays_out(real: tuple[Gateway, RealProvider], who: str, number: int) -> None:
    browser = Browser(f"127.0.0.{number}")
    back = browser.ask(walk(real, browser, who))
    assert back.status == 403 and back.json["error"]["code"] == "permission_denied", back.body
    assert me(real[0], browser).status == 401


def test_a_code_and_a_state_are_good_once(real: tuple[Gateway, RealProvider]) -> None:
    browser = Browser("127.0.0.6")
    address = walk(real, browser, "ann")
    kept = dict(browser.cookies[urlsplit(real[0].admin_url).netloc])
    assert browser.ask(address).status == 303
    browser.cookies[urlsplit(real[0].admin_url).netloc] = kept
    assert browser.ask(address).status == 400, "the state is used up"
    started = browser.ask(real[0].admin_url + START)
    code = parse_qs(urlsplit(address).query)["code"][0]
    replayed = f"{real[0].admin_url}{CALLBACK}?code={code}&state={started.query['state']}&iss={real[1].issuer}"
    refused = browser.ask(replayed)
    assert refused.status == 403 and "invalid_grant" in refused.json["error"]["message"], refused.body


# --- a provider that lies


@pytest.fixture(scope="module")
def lying(shared_gateway: MakeGateway) -> Iterator[tuple[Gateway, LyingProvider]]:
    provider = LyingProvider()
    yield shared_gateway({"oidc": settings(provider.issuer, default_role="viewer")}), provider
    provider.close()


NUMBERS = itertools.count(20)
Token = Callable[[LyingProvider, str], str]


def come_back(lying: tuple[Gateway, LyingProvider], token: Token, **query: str) -> tuple[Browser, Answer]:
    """Goes to the provider and comes back at once, with a token of the test's making."""
    gateway, provider = lying
    browser = Browser(f"127.0.0.{next(NUMBERS)}")
    started = browser.ask(gateway.admin_url + START)
    provider.token = token(provider, started.query["nonce"])
    asked = {"code": f"c{next(NUMBERS)}", "state": started.query["state"]} | query
    return browser, browser.ask(gateway.admin_url + CALLBACK + "?" + "&".join(f"{k}={v}" for k, v in asked.items()))


def good(provider: LyingProvider, nonce: str) -> str:
    return provider.sign(provider.claims(nonce))


def test_the_exchange_proves_who_asks(lying: tuple[Gateway, LyingProvider]) -> None:
    browser, back = come_back(lying, good)
    assert back.status == 303, back.body
    assert me(lying[0], browser).json["name"] == "eve@x.test"
    asked = lying[1].asked[-1]
    identifier, secret = base64.b64decode(asked["authorization"].removeprefix("Basic ")).decode().split(":")
    assert (unquote_plus(identifier), unquote_plus(secret)) == (CLIENT["client_id"], CLIENT["client_secret"])
    assert len(asked["code_verifier"]) >= 43 and asked["redirect_uri"] == lying[0].admin_url + CALLBACK


def unsigned(provider: LyingProvider, nonce: str) -> str:
    head, body = b64(b'{"alg":"none"}'), b64(json.dumps(provider.claims(nonce)).encode())
    return f"{head}.{body}."


def changed(**changes: Any) -> Token:
    return lambda provider, nonce: provider.sign(provider.claims(nonce, **changes))


LIES: dict[str, Token] = {
    "alg none": unsigned,
    "no signature": lambda p, n: p.sign(p.claims(n)).rsplit(".", 1)[0] + ".",
    "alg HS256": lambda p, n: p.sign(p.claims(n), {"alg": "HS256"}),
    "a stranger's key": lambda p, n: p.sign(p.claims(n), stranger=True),
    "an unknown key": lambda p, n: p.sign(p.claims(n), {"kid": "k2"}, stranger=True),
    "a changed body": lambda p, n: ".".join([good(p, n).split(".")[0], unsigned(p, n).split(".")[1], "AAAA"]),
    "another issuer": changed(iss="https://evil.test"),
    "another audience": changed(aud="somebody-else"),
    "several audiences without a party": changed(aud=["crossway", "somebody-else"]),
    "another party": changed(azp="somebody-else"),
    "expired": changed(exp=1_000_000_000),
    "no expiry": changed(exp=None),
    "from the future": changed(iat=9_999_999_999),
    "another nonce": changed(nonce="0" * 64),
    "no nonce": changed(nonce=None),
    "nobody": changed(sub=None),
    "no token": lambda p, n: "not.a.token",
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused(lying: tuple[Gateway, LyingProvider], lie: str) -> None:
    browser, back = come_back(lying, LIES[lie])
    assert back.status == 401 and back.json["error"]["code"] == "unauthorized", (lie, back.status, back.body)
    assert me(lying[0], browser).status == 401


def test_an_unverified_address_links_to_nobody(lying: tuple[Gateway, LyingProvider]) -> None:
    _, back = come_back(lying, changed(sub="s9", email_verified=False))
    assert back.status == 403, back.body
    _, back = come_back(lying, changed(sub="s9"))
    assert back.status == 403 and "another identity" in back.json["error"]["message"], back.body


def test_states_are_bound(lying: tuple[Gateway, LyingProvider]) -> None:
    for query in [{"state": "0" * 64}, {"state": ""}]:
        browser, back = come_back(lying, good, **query)
        assert back.status == 400 and back.json["error"]["code"] == "invalid_request", back.body
        assert me(lying[0], browser).status == 401
    gateway = lying[0]
    victim, attacker = Browser("127.0.0.150"), Browser("127.0.0.151")
    begun = attacker.ask(gateway.admin_url + START)
    victim.ask(gateway.admin_url + START)
    back = victim.ask(f"{gateway.admin_url}{CALLBACK}?code=x&state={begun.query['state']}")
    assert back.status == 400, "nobody is signed in as somebody else by a link"


def test_answers_of_others_and_refusals(lying: tuple[Gateway, LyingProvider]) -> None:
    _, back = come_back(lying, good, iss="https://evil.test")
    assert back.status == 400, back.body
    _, back = come_back(lying, good, error="access_denied")
    assert back.status == 403 and "access_denied" in back.json["error"]["message"]


def test_unknown_keys_are_hunted_seldom(lying: tuple[Gateway, LyingProvider]) -> None:
    before = lying[1].key_requests
    for _ in range(5):
        come_back(lying, LIES["an unknown key"])
    assert lying[1].key_requests - before <= 1


def test_no_secret_is_logged(lying: tuple[Gateway, LyingProvider]) -> None:
    browser, back = come_back(lying, good)
    assert back.status == 303
    log = lying[0].log
    audit = call(lying[0].admin_url, "/admin/v1/audit?limit=200", key=ADMIN_TOKEN).body.decode()
    session = browser.cookies[urlsplit(lying[0].admin_url).netloc]["crossway_session"]
    for secret in [CLIENT["client_secret"], lying[1].token, lying[1].asked[-1]["code_verifier"], session]:
        assert secret not in log and secret not in audit
    assert "refuse_sign_in" in audit and '"sign_in"' in audit


# --- without one


def test_without_settings_there_is_no_way(gateway: MakeGateway) -> None:
    plain = gateway({})
    assert Browser().ask(plain.admin_url + START).status == 404
    assert Browser().ask(plain.admin_url + "/admin/v1/setup").json["oidc"] is False
    away = gateway({"oidc": settings(f"http://127.0.0.1:{reserved()}")})
    assert Browser().ask(away.admin_url + START).status == 503
