//! Route configurations: who is bound by one, what each strategy does, and what may not be written.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{Gateway, KEY, REQUEST};
use testkit::script::Script;

use crate::routing::model;

const ROUTES: &str = "/admin/v1/environments/default/routes";

/// Three models of two providers, and one that is switched off.
fn gateway(p: Script, q: Script) -> Gateway {
    let config = [
        model("small", "p", "0.1", 40, ""),
        model("big", "q", "10", 90, ""),
        model("spare", "q", "1", 70, ""),
        model("off", "q", "1", 70, "enabled = false"),
    ];
    Gateway::builder().provider("p", p).provider("q", q).config(&config.concat()).start()
}

fn working() -> Gateway {
    gateway(Script::chat("Hello"), Script::chat("Hello"))
}

async fn put(gateway: &Gateway, name: &str, spec: Value) -> Reply {
    gateway.api(&format!("POST {ROUTES}"), &json!({ "name": name, "spec": spec })).await
}

async fn made(gateway: &Gateway, name: &str, spec: Value) -> Value {
    let reply = put(gateway, name, spec).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

/// A route of the key that requests are made with.
async fn of_key(gateway: &Gateway, strategy: Value) -> Value {
    made(gateway, "mine", json!({ "key": KEY, "strategy": strategy })).await
}

async fn patch(gateway: &Gateway, path: &str, spec: Value) -> Reply {
    gateway.api(&format!("PATCH /admin/v1/environments/default/{path}"), &json!({ "spec": spec })).await
}

fn ask(model: &str) -> String {
    REQUEST.replace("\"m\"", &format!("\"{model}\""))
}

async fn served(gateway: &Gateway, fields: &str, body: &str) -> String {
    let reply = gateway.chat_with(fields, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-crossway-model").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_keys_route_decides_and_the_model_is_a_hint() {
    let gateway = working();
    of_key(&gateway, json!({ "fallback": { "targets": [{ "model": "big" }, { "model": "spare", "priority": 1 }] } }))
        .await;
    assert_eq!(served(&gateway, "", &ask("small")).await, "big");
    assert_eq!(served(&gateway, "x-llm-provider: p\r\n", &ask("small")).await, "big");
    assert_eq!(patch(&gateway, "routes/mine", json!({ "active": false })).await.json()["status"]["state"], "inactive");
    assert_eq!(served(&gateway, "", &ask("small")).await, "small", "an inactive one is bypassed");
    made(&gateway, "all", json!({ "default": true, "strategy": { "auto": { "candidates": ["spare"] } } })).await;
    assert_eq!(served(&gateway, "", &ask("small")).await, "small", "and bypasses the default");
    gateway.api(&format!("DELETE {ROUTES}/mine"), &json!({})).await;
    let reply = gateway.chat(&ask("small")).await;
    assert_eq!(reply.header("x-crossway-model"), Some("spare"));
    assert_eq!(reply.json().pointer("/crossway/policy"), Some(&json!("auto")));
    assert_eq!(served(&gateway, "x-llm-provider: p\r\n", &ask("small")).await, "small");
    let records = gateway.records(6).await;
    let reasons: Vec<&str> = records.iter().map(|record| &*record.attempts[0].reason).collect();
    assert!(reasons.contains(&"route mine: priority 0") && reasons.contains(&"route all: policy auto"), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn a_chain_goes_on_when_a_target_fails() {
    let gateway = gateway(Script::error(500, "no"), Script::chat("Hello"));
    let targets = json!([{ "model": "spare", "priority": 7 }, { "model": "small" }]);
    of_key(&gateway, json!({ "fallback": { "targets": targets } })).await;
    let reply = gateway.chat(REQUEST).await;
    assert_eq!((reply.status, reply.header("x-crossway-model")), (200, Some("spare")));
    let record = gateway.one().await;
    let trail: Vec<(&str, &str)> = record.attempts.iter().map(|one| (&*one.model, &*one.reason)).collect();
    assert_eq!(trail, [("small", "route mine: priority 0"), ("spare", "route mine: priority 7")]);
}

#[tokio::test(start_paused = true)]
async fn a_split_is_exact() {
    let gateway = working();
    let targets = json!([{ "model": "big", "weight": 0.7 }, { "model": "small", "weight": 0.2 }, { "model": "spare", "weight": "0.1" }]);
    of_key(&gateway, json!({ "split": { "targets": targets } })).await;
    let mut had: BTreeMap<String, i64> = BTreeMap::new();
    let rounds = 500;
    for count in 1..=rounds {
        *had.entry(served(&gateway, "", REQUEST).await).or_default() += 1;
        for (name, tenths) in [("big", 7), ("small", 2), ("spare", 1)] {
            let off = had.get(name).copied().unwrap_or(0) * 10 - tenths * count;
            assert!(off.abs() < 10, "{name} after {count}: {had:?}");
        }
        if count == 100 {
            // A change of something else does not begin anew, and neither does an explanation take a turn.
            assert_eq!(patch(&gateway, "models/off", json!({ "quality": 3 })).await.status, 409, "it is in the file");
            made(&gateway, "all", json!({ "default": true, "strategy": { "auto": {} } })).await;
            explained(&gateway, REQUEST, json!({})).await;
        }
    }
    gateway.records(usize::try_from(rounds).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_sticky_split_keeps_callers_where_they_are() {
    let gateway = working();
    let targets = json!([{ "model": "big" }, { "model": "small" }, { "model": "spare" }]);
    of_key(&gateway, json!({ "split": { "targets": targets, "sticky": "user" } })).await;
    let body = |user: usize| REQUEST.replacen('{', &format!("{{\"user\":\"u{user}\","), 1);
    let mut first = Vec::new();
    for user in 0..30 {
        first.push(served(&gateway, "", &body(user)).await);
    }
    for (user, first) in first.iter().enumerate() {
        assert_eq!(served(&gateway, "", &body(user)).await, *first, "{user}");
    }
    assert!(["big", "small", "spare"].iter().all(|model| first.iter().any(|one| one == model)), "{first:?}");
    let session = json!({ "split": { "targets": targets, "sticky": "session" } });
    assert_eq!(patch(&gateway, "routes/mine", json!({ "strategy": session })).await.status, 200);
    let mut seen = Vec::new();
    for session in 0..20 {
        let fields = format!("x-session-id: s{session}\r\n");
        let one = served(&gateway, &fields, REQUEST).await;
        assert_eq!(served(&gateway, &fields, REQUEST).await, one, "{session}");
        seen.push(one);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
    gateway.records(100).await;
}

/// Explains a request of the key that requests are made with.
async fn explained(gateway: &Gateway, body: &str, headers: Value) -> Value {
    let request: Value = serde_json::from_str(body).unwrap();
    let question = json!({ "key": KEY, "request": request, "headers": headers });
    let reply = gateway.api("POST /admin/v1/environments/default/route", &question).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_that_holds_leads_on() {
    let gateway = working();
    let rules = json!([
        { "when": "headers['x-tier'] == 'gold'", "then": "big" },
        { "when": "'tools' in features || input_tokens > 3000", "then": { "fallback": { "targets": [{ "model": "spare" }] } } },
        { "when": "metadata.run == 'nightly' && time.year == 2026", "then": "cheapest" },
        { "when": "key == 'nobody' && team == '' && user == 'u'", "then": "off-not-there" },
    ]);
    let refused = put(&gateway, "mine", json!({ "key": KEY, "strategy": { "rules": rules } })).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let mut good = rules.clone();
    good[3]["then"] = json!("spare");
    of_key(&gateway, json!({ "rules": good, "otherwise": "small" })).await;
    let long = json!({ "model": "m", "messages": [{ "role": "user", "content": "word ".repeat(4_000) }] }).to_string();
    let nightly = "x-crossway-metadata: {\"run\": \"nightly\"}\r\n";
    assert_eq!(served(&gateway, "X-Tier: gold\r\n", REQUEST).await, "big");
    assert_eq!(served(&gateway, "x-tier: iron\r\n", &long).await, "spare");
    gateway.assembly.hands.set_unix_ms(1_795_279_560_000);
    assert_eq!(served(&gateway, &format!("x-tier: iron\r\n{nightly}"), REQUEST).await, "small", "cheapest");
    assert_eq!(
        served(&gateway, "x-tier: iron\r\nx-crossway-metadata: {\"run\": \"daily\"}\r\n", REQUEST).await,
        "small"
    );
    let records = gateway.records(4).await;
    let reasons: Vec<&str> = records.iter().map(|record| &*record.attempts[0].reason).collect();
    for expect in [
        "route mine, rule 1: target",
        "route mine, rule 2: target",
        "route mine, rule 3: policy cheapest",
        "route mine, otherwise: target",
    ] {
        assert!(reasons.contains(&expect), "{expect}: {reasons:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_fails_is_counted_and_shown() {
    let gateway = working();
    let rules = json!([{ "when": "headers['x-tier'] == 'gold'", "then": "big" }]);
    of_key(&gateway, json!({ "rules": rules })).await;
    for _ in 0..2 {
        assert_eq!(served(&gateway, "", &ask("small")).await, "small", "it goes where it says");
    }
    let record = gateway.records(2).await.remove(0);
    assert_eq!(record.attempts[0].reason, "route mine, rule 1 failed: there is no `x-tier`, no rule: requested model");
    let said = explained(&gateway, &ask("small"), json!({})).await;
    assert_eq!(
        said["route"],
        json!({
            "name": "mine", "decided_by": "nothing", "rule": null, "skipped": [],
            "failed_rules": [{ "rule": 1, "reason": "there is no `x-tier`" }],
        })
    );
    let metrics = gateway.admin("GET /metrics", "").await;
    let line = "crossway_route_rules_failed_total{environment=\"default\",route=\"mine\",rule=\"1\"} 2";
    assert!(metrics.text().contains(line), "{}", metrics.text());
    let said = explained(&gateway, &ask("small"), json!({ "X-Tier": "gold" })).await;
    assert_eq!((&said["route"]["rule"], &said["attempts"][0]["model"]), (&json!(1), &json!("big")));
}

#[tokio::test(start_paused = true)]
async fn credentials_are_no_header_that_a_rule_can_see() {
    let gateway = working();
    let rules = json!([{ "when": "headers.exists(name, headers[name].contains('sk-cw-'))", "then": "big" }]);
    of_key(&gateway, json!({ "rules": rules, "otherwise": "small" })).await;
    assert_eq!(served(&gateway, "cookie: sk-cw-x\r\n", REQUEST).await, "small");
    assert_eq!(served(&gateway, "x-other: sk-cw-x\r\n", REQUEST).await, "big");
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_switched_off_cannot_be_written_and_is_skipped_later() {
    let gateway = working();
    let chain =
        |model: &str| json!({ "fallback": { "targets": [{ "model": model }, { "model": "spare", "priority": 1 }] } });
    let refused = put(&gateway, "mine", json!({ "key": KEY, "strategy": chain("off") })).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("this model is disabled"), "{}", refused.text());
    let url = "http://127.0.0.1:9/v1";
    let provider =
        json!({ "name": "r", "spec": { "kind": "openai-compatible", "base_url": url, "default_model": "late" } });
    assert_eq!(gateway.api("POST /admin/v1/environments/default/providers", &provider).await.status, 201);
    let route = of_key(&gateway, chain("late")).await;
    assert_eq!(route["status"]["state"], "active");
    let in_use = gateway.api("DELETE /admin/v1/environments/default/providers/r", &json!({})).await;
    assert_eq!(in_use.status, 400, "nobody would serve it: {}", in_use.text());
    assert_eq!(patch(&gateway, "providers/r", json!({ "enabled": false })).await.status, 200);
    let list = gateway.api(&format!("GET {ROUTES}"), &json!({})).await.json();
    assert_eq!(list["data"][0]["status"]["state"], "broken", "{list}");
    assert_eq!(
        list["data"][0]["status"]["warnings"][0]["message"], "only disabled providers serve this model",
        "{list}"
    );
    assert_eq!(served(&gateway, "", REQUEST).await, "spare");
    let said = explained(&gateway, REQUEST, json!({})).await;
    let why = json!([{ "model": "late", "reason": "only disabled providers serve this model" }]);
    assert_eq!(said["route"]["skipped"], why);
    let off = patch(&gateway, "routes/mine", json!({ "active": false })).await;
    assert_eq!((off.status, off.json()["status"]["state"].clone()), (200, json!("broken")), "it can still be changed");
    gateway.records(1).await;
}

#[tokio::test(start_paused = true)]
async fn where_no_target_is_left_the_reasons_are_told_in_the_callers_dialect() {
    let gateway = working();
    let spec = policy::spec::key::KeySpec { models: vec!["small".into()], ..Default::default() };
    let narrow = gateway.assembly.create_key("narrow", spec);
    made(
        &gateway,
        "all",
        json!({ "default": true, "strategy": { "split": { "targets": [{ "model": "big" }, { "model": "spare" }] } } }),
    )
    .await;
    let fields = format!("authorization: Bearer {narrow}\r\n");
    let reply = gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await;
    let reasons = "the route `all` leaves no target for this request: `big` at q: not among the key's models; `spare` at \
                   q: not among the key's models";
    assert_eq!((reply.status, reply.code().as_str(), reply.message().as_str()), (503, "upstream_unavailable", reasons));
    let message = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    let reply = gateway.ask("POST /v1/messages", &fields, &message.to_string()).await;
    assert_eq!(reply.json()["type"], "error");
    assert_eq!(reply.json()["error"]["message"], reasons);
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn own_credentials_have_their_place_in_a_chain() {
    let gateway =
        Gateway::builder().provider_with("p", "", vec![Script::error(401, "no"), Script::chat("Hello")]).start();
    let own = json!({ "name": "mine", "spec": { "provider": "p", "value": "own-canary", "keys": [KEY] } });
    assert_eq!(gateway.api("POST /admin/v1/environments/default/byok", &own).await.status, 201);
    let targets = json!([{ "model": "m", "credential": "mine" }, { "model": "m", "priority": 1 }]);
    of_key(&gateway, json!({ "fallback": { "targets": targets } })).await;
    assert_eq!(served(&gateway, "", REQUEST).await, "m");
    let asked: Vec<String> =
        gateway.provider("p").requests().iter().map(|one| one.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(asked, ["Bearer own-canary", "Bearer sk-upstream-canary-p"]);
    let record = gateway.one().await;
    let reasons: Vec<&str> = record.attempts.iter().map(|one| &*one.reason).collect();
    assert_eq!(reasons, ["route mine: priority 0, own credential", "route mine: priority 1"]);
    let in_use = gateway.api("DELETE /admin/v1/environments/default/byok/mine", &json!({})).await;
    assert_eq!(in_use.status, 409, "{}", in_use.text());
}

#[tokio::test(start_paused = true)]
async fn settings_of_policies_hold_for_the_environment() {
    let gateway = working();
    assert_eq!(served(&gateway, "", &ask("cheapest")).await, "small");
    let environment = "PATCH /admin/v1/environments/default";
    let reply = gateway.api(environment, &json!({ "spec": { "quality_bar": 80 } })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(served(&gateway, "", &ask("cheapest")).await, "big");
    let weights = json!({ "spec": { "policies": { "auto": { "weights": { "cost": 1 } } } } });
    assert_eq!(gateway.api(environment, &weights).await.status, 200);
    assert_eq!(served(&gateway, "", &ask("auto")).await, "small");
    let said = explained(&gateway, &ask("auto"), json!({})).await;
    assert_eq!(said["weights"], json!({ "latency": 0.0, "cost": 1.0, "quality": 0.0, "availability": 0.0 }));
    let terms = &said["attempts"][0]["scores"];
    assert_eq!((&terms["score"], &terms["cost"]), (&json!(1.0), &json!(1.0)), "{said}");
    let bad = json!({ "spec": { "policies": { "auto": { "weights": { "cost": -1 } } } } });
    assert_eq!(gateway.api(environment, &bad).await.status, 400);
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_route_is_for_a_key_that_there_is_and_for_one() {
    let gateway = working();
    let auto = json!({ "auto": {} });
    let reply = put(&gateway, "r", json!({ "key": "nobody", "strategy": auto })).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("there is no key of this name"), "{}", reply.text());
    of_key(&gateway, auto.clone()).await;
    let again = put(&gateway, "another", json!({ "key": KEY, "strategy": auto })).await;
    assert!(again.text().contains("the key has a route already: mine"), "{}", again.text());
    let unknown = put(
        &gateway,
        "r",
        json!({ "default": true, "strategy": { "split": { "targets": [{ "model": "m", "wight": 1 }] } } }),
    )
    .await;
    assert!(unknown.text().contains("wight") && unknown.text().contains("weight"), "{}", unknown.text());
    gateway.none().await;
}

/// Whether something happens, one time in so many.
fn one_in(random: &mut fastrand::Rng, many: u32) -> bool {
    random.u32(..many) == 0
}

/// A random list of targets: what has several of a priority is on the first level, which goes by turns.
fn some_targets(random: &mut fastrand::Rng, split: bool) -> Value {
    let mut models = vec!["small", "big", "spare", "m", "p/m", "q/m"];
    random.shuffle(&mut models);
    let equals = random.usize(1..3);
    let list = models.iter().take(random.usize(1..5)).enumerate().map(|(at, model)| {
        let priority = if at < equals { 0 } else { at };
        let weight = random.u32(1..9);
        if split {
            json!({ "model": model, "weight": weight })
        } else {
            json!({ "model": model, "weight": weight, "priority": priority })
        }
    });
    list.collect()
}

fn some_pick(random: &mut fastrand::Rng) -> Value {
    match random.u32(..4) {
        0 => json!({ "fallback": { "targets": some_targets(random, false) } }),
        1 => json!({ "split": { "targets": some_targets(random, true) } }),
        2 => json!({ "split": { "targets": some_targets(random, true), "sticky": "user" } }),
        _ => {
            let policy = random.choice(["auto", "cheapest", "fastest", "best"]);
            json!({ "auto": { "policy": policy, "weights": { "cost": random.u32(0..5), "quality": 1 } } })
        }
    }
}

fn some_strategy(random: &mut fastrand::Rng) -> Value {
    if one_in(random, 2) {
        return some_pick(random);
    }
    let conditions = [
        "headers['x-a'] == '1'",
        "'x-a' in headers",
        "user == 'ann'",
        "stream",
        "model == 'big'",
        "input_tokens > 100",
    ];
    let rules: Vec<Value> = (0..random.usize(1..4))
        .map(|_| json!({ "when": random.choice(conditions), "then": some_pick(random) }))
        .collect();
    match one_in(random, 2) {
        true => json!({ "rules": rules }),
        false => json!({ "rules": rules, "otherwise": some_pick(random) }),
    }
}

/// What is explained is what happens: random routes, random requests, and a provider that fails.
#[tokio::test(start_paused = true)]
async fn whatever_is_configured_what_is_explained_happens() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..40 {
        let gateway = gateway(Script::error(500, "no"), Script::chat("Hello"));
        let strategy = some_strategy(&mut random);
        let bound = if one_in(&mut random, 3) { json!({ "default": true }) } else { json!({ "key": KEY }) };
        let mut spec = bound.as_object().unwrap().clone();
        spec.insert("strategy".to_owned(), strategy.clone());
        made(&gateway, "r", Value::Object(spec)).await;
        let asked = 6;
        for turn in 1..=asked {
            let model = random.choice(["m", "big", "small", "best", "nothing"]).unwrap();
            let user = random.choice(["ann", "bob"]).unwrap();
            let body = ask(model).replacen('{', &format!("{{\"user\":\"{user}\","), 1);
            let (mut fields, mut headers) = (String::new(), json!({}));
            if one_in(&mut random, 2) {
                fields.push_str("x-a: 1\r\n");
                headers["X-A"] = json!("1");
            }
            if one_in(&mut random, 4) {
                fields.push_str("x-llm-provider: q\r\n");
                headers["x-llm-provider"] = json!("q");
            }
            let said = explained(&gateway, &body, headers).await;
            let own = gateway.ask("POST /v1/route", &format!("{}{fields}", gateway.fields()), &body).await.json();
            assert_eq!(own["attempts"], said["attempts"], "the caller is told the same");
            let reply = gateway.chat_with(&fields, &body).await;
            let records = gateway.assembly.records(turn);
            let id = reply.header("x-request-id").unwrap().to_owned();
            let record = records.iter().find(|record| record.id.to_string() == id).unwrap();
            let told: Vec<(String, String)> = said["attempts"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|one| one["passed_over"].is_null())
                .map(|one| {
                    let text = |name: &str| one[name].as_str().unwrap().to_owned();
                    (format!("{}@{}", text("model"), text("provider")), text("reason"))
                })
                .collect();
            let mut asked: Vec<(String, String)> = Vec::new();
            for attempt in &record.attempts {
                let target = (format!("{}@{}", attempt.model, attempt.provider), attempt.reason.to_string());
                // The last target is asked again.
                if asked.last() != Some(&target) {
                    asked.push(target);
                }
            }
            let about = format!("round {round}, {strategy}, {body}, {fields}");
            assert_eq!(told.get(..asked.len()), Some(asked.as_slice()), "{about}");
            match reply.status {
                200 => assert!(!asked.is_empty(), "{about}"),
                _ if told.is_empty() => assert_eq!(said["error"]["code"], reply.code(), "{about}"),
                _ => assert_eq!(told, asked, "all of them failed: {about}"),
            }
            gateway.assembly.hands.advance(std::time::Duration::from_secs(60));
        }
        gateway.records(asked).await;
    }
}

#[tokio::test(start_paused = true)]
async fn callers_are_told_of_their_own_requests_alone() {
    let gateway = working();
    let spec = policy::spec::key::KeySpec { models: vec!["small".into(), "m".into()], ..Default::default() };
    let narrow = gateway.assembly.create_key("narrow", spec);
    let fields = format!("authorization: Bearer {narrow}\r\n");
    let reply = gateway.ask("POST /v1/route", &fields, &ask("best")).await;
    assert_eq!((reply.status, &reply.json()["attempts"][0]["model"]), (200, &json!("small")), "{}", reply.text());
    assert_eq!(reply.json()["baseline"], "big", "as every reply says");
    let rest = reply.text().replace("\"baseline\":\"big\"", "");
    for hidden in ["big", "spare", "off", "canary", "127.0.0.1"] {
        assert!(!rest.contains(hidden), "{hidden}: {rest}");
    }
    let refused = gateway.ask("POST /v1/route", &fields, &ask("big")).await;
    assert_eq!(refused.json()["error"]["code"], "model_not_allowed");
    assert_eq!(gateway.ask("POST /v1/route", "authorization: Bearer sk-cw-no\r\n", REQUEST).await.status, 401);
    assert_eq!(gateway.ask("GET /v1/route", &fields, "").await.status, 405);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn developers_route_their_own_keys() {
    let gateway = working();
    for name in ["ada", "bob"] {
        let made = gateway
            .api_as(
                &format!("developer {name}"),
                "POST /admin/v1/environments/default/keys",
                &json!({ "name": name, "spec": {} }),
            )
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let ada = async |line: &str, body: Value| {
        let reply = gateway.api_as("developer ada", line, &body).await;
        (reply.status, if reply.status == 204 { Value::Null } else { reply.json() })
    };
    let route = |key: &str| json!({ "name": key, "spec": { "key": key, "strategy": { "auto": {} } } });
    assert_eq!(ada(&format!("POST {ROUTES}"), route("ada")).await.0, 201);
    assert_eq!(ada(&format!("POST {ROUTES}"), route("bob")).await.0, 400);
    let all = json!({ "name": "all", "spec": { "default": true, "strategy": { "auto": {} } } });
    assert_eq!(ada(&format!("POST {ROUTES}"), all.clone()).await.0, 400);
    made(&gateway, "all", all["spec"].clone()).await;
    made(&gateway, "of-bob", route("bob")["spec"].clone()).await;
    let list = ada(&format!("GET {ROUTES}"), json!({})).await.1;
    let names: Vec<&str> = list["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ada", "all"], "what binds them is seen");
    assert_eq!(ada(&format!("PATCH {ROUTES}/all"), json!({ "spec": { "active": false } })).await.0, 400);
    assert_eq!(ada(&format!("PATCH {ROUTES}/of-bob"), json!({ "spec": { "active": false } })).await.0, 404);
    assert_eq!(ada(&format!("PATCH {ROUTES}/ada"), json!({ "spec": { "key": "bob" } })).await.0, 400);
    assert_eq!(ada(&format!("PATCH {ROUTES}/ada"), json!({ "spec": { "active": false } })).await.0, 200);
    assert_eq!(ada(&format!("DELETE {ROUTES}/ada"), json!({})).await.0, 204);
    let viewer = gateway.api_as("viewer vic", &format!("POST {ROUTES}"), &all).await;
    assert_eq!(viewer.status, 403, "{}", viewer.text());
    gateway.none().await;
}
