//! The admin calls of billing: credits are posted once and audited, and what is read adds up.

use serde_json::{Value, json};
use testkit::gateway::Gateway;

use crate::billing::{BILLED, SHORT, gateway, post, top_up};

const ENVIRONMENT: &str = "/admin/v1/environments/default";

async fn get(gateway: &Gateway, path: &str) -> Value {
    let reply = gateway.api(&format!("GET {ENVIRONMENT}/{path}"), &Value::Null).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(start_paused = true)]
async fn credits_are_posted_once_and_audited() {
    let gateway = gateway(BILLED);
    let body = json!({ "amount": "25.50", "reference": "invoice 1", "note": "paid by card" });
    let first = post(&gateway, body.clone()).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let first = first.json();
    let entry = &first["entry"];
    assert_eq!((&entry["kind"], &entry["amount_usd"]), (&json!("top_up"), &json!("25.5")));
    assert_eq!(entry["postings"], json!({ "credits": "25.5", "funding": "-25.5" }));
    assert_eq!((&entry["actor"], &entry["note"]), (&json!("admin token"), &json!("paid by card")));
    assert_eq!((&first["balance_usd"], &first["available_usd"]), (&json!("25.5"), &json!("25.5")));
    let again = post(&gateway, body).await;
    assert_eq!((again.status, &again.json()["entry"]["id"]), (200, &entry["id"]));
    let other = post(&gateway, json!({ "amount": "25.51", "reference": "invoice 1" })).await;
    assert_eq!(other.status, 409, "{}", other.text());
    post(&gateway, json!({ "amount": "-0.5", "kind": "adjustment", "reference": "fix 1" })).await;
    let audit = gateway.api("GET /admin/v1/audit?action=post_credits", &Value::Null).await.json();
    let audited = audit["data"].as_array().unwrap();
    assert_eq!(audited.len(), 2, "{audit}");
    let oldest = &audited[1];
    assert_eq!((&oldest["kind"], &oldest["environment"]), (&json!("credits"), &json!("default")));
    assert_eq!(oldest["name"], "invoice 1");
    let after = &oldest["after"];
    assert_eq!(
        (&after["kind"], &after["amount_usd"], &after["balance_usd"]),
        (&json!("top_up"), &json!("25.5"), &json!("25.5"))
    );
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_posted_is_refused_by_name() {
    let gateway = gateway(BILLED);
    let checks = [
        (json!({ "reference": "a" }), "amount", "amount is missing"),
        (json!({ "amount": 25.5, "reference": "a" }), "amount", "amount must be a string"),
        (json!({ "amount": "a lot", "reference": "a" }), "amount", "amount is not a decimal number"),
        (json!({ "amount": "0.0000000001", "reference": "a" }), "amount", "finer than a nano-dollar"),
        (json!({ "amount": "99999999999", "reference": "a" }), "amount", "too large"),
        (json!({ "amount": "1000000001", "reference": "a" }), "amount", "at most a billion"),
        (json!({ "amount": "0", "reference": "a" }), "amount", "must be above zero"),
        (json!({ "amount": "-1", "reference": "a" }), "amount", "must be above zero"),
        (json!({ "amount": "1", "kind": "refund", "reference": "a" }), "amount", "no more can be refunded"),
        (json!({ "amount": "1", "kind": "gift", "reference": "a" }), "kind", "must be one of top_up, promotion"),
        (json!({ "amount": "1" }), "reference", "reference is missing"),
        (json!({ "amount": "1", "reference": " a" }), "reference", "1 to 128 printable characters"),
        (json!({ "amount": "1", "reference": "a".repeat(129) }), "reference", "1 to 128 printable characters"),
        (json!({ "amount": "1", "reference": "a", "note": "two\nlines" }), "note", "one line"),
        (json!({ "amount": "1", "reference": "a", "currency": "EUR" }), "currency", "unknown member"),
    ];
    for (body, field, message) in checks {
        let reply = post(&gateway, body.clone()).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, error["field"].as_str()), (400, Some(field)), "{body}: {error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{body}: {error}");
    }
    let nowhere =
        gateway.api("POST /admin/v1/environments/none/credits", &json!({ "amount": "1", "reference": "a" })).await;
    assert_eq!(nowhere.status, 404);
    for (path, field) in [
        ("statement?month=2026-13", "month"),
        ("statement?month=november", "month"),
        ("statement?group_by=model", "group_by"),
        ("ledger?kind=gift", "kind"),
        ("ledger?from=yesterday", "from"),
        ("ledger?cursor=l1_zzz", "cursor"),
    ] {
        let reply = gateway.api(&format!("GET {ENVIRONMENT}/{path}"), &Value::Null).await;
        assert_eq!((reply.status, reply.json()["error"]["field"].as_str()), (400, Some(field)), "{path}");
    }
    assert_eq!(get(&gateway, "ledger").await, json!({ "data": [], "next_cursor": null }));
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn who_may_post_and_who_may_read() {
    let gateway = gateway(BILLED);
    for (role, read, write) in [
        ("viewer", 403, 403),
        ("auditor", 200, 403),
        ("developer", 403, 403),
        ("operator", 200, 403),
        ("owner", 200, 201),
    ] {
        let body = json!({ "amount": "1", "reference": role });
        let posted = gateway.api_as(role, &format!("POST {ENVIRONMENT}/credits"), &body).await;
        assert_eq!(posted.status, write, "{role}: {}", posted.text());
        for path in ["ledger", "balance", "statement"] {
            let reply = gateway.api_as(role, &format!("GET {ENVIRONMENT}/{path}"), &Value::Null).await;
            assert_eq!(reply.status, read, "{role} {path}");
        }
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_statement_is_json_or_csv_and_adds_up() {
    let gateway = gateway(&format!("{BILLED}timezone = \"Europe/Berlin\"\n"));
    top_up(&gateway, "1", "a").await;
    for _ in 0..3 {
        assert_eq!(gateway.chat(SHORT).await.status, 200);
    }
    gateway.records(3).await;
    let statement = get(&gateway, "statement?month=2026-11&group_by=key").await;
    assert_eq!(
        (&statement["from"], &statement["to"]),
        (&json!("2026-11-01T00:00:00+01:00"), &json!("2026-12-01T00:00:00+01:00"))
    );
    assert_eq!(
        (&statement["opening_balance_usd"], &statement["closing_balance_usd"]),
        (&json!("0"), &json!("0.99984175"))
    );
    assert_eq!(statement["credits"][0], json!({ "kind": "top_up", "transfers": 1, "amount_usd": "1" }));
    let row = &statement["data"][0];
    assert_eq!((&row["key"], &row["requests"], &row["charge_usd"]), (&json!("first"), &json!(3), &json!("0.00015825")));
    assert_eq!((&row["cost_usd"], &row["margin_usd"]), (&json!("0.00015"), &json!("0.00000825")));
    assert_eq!((&statement["total"]["charge_usd"], &statement["open"]), (&json!("0.00015825"), &json!(true)));
    let october = get(&gateway, "statement?month=2026-10").await;
    assert_eq!((&october["closing_balance_usd"], &october["data"]), (&json!("0"), &json!([])));
    let expect = "line,account,requests,cost_usd,margin_usd,estimated_requests,estimated_usd,amount_usd\r\n\
                  opening_balance,,,,,,,0\r\ntop_up,,,,,,,1\r\n\
                  charge,default,3,0.00015,0.00000825,0,0,-0.00015825\r\nclosing_balance,,,,,,,0.99984175\r\n";
    let path = format!("GET {ENVIRONMENT}/statement");
    let csv = gateway.api(&format!("{path}?format=csv"), &Value::Null).await;
    assert_eq!((csv.text(), csv.header("content-type")), (expect, Some("text/csv; charset=utf-8; header=present")));
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"statement-2026-11.csv\""));
    let token = format!("authorization: Bearer {}\r\n", testkit::gateway::ADMIN_TOKEN);
    let accepted = gateway.api_with(&path, &format!("{token}accept: text/csv, */*\r\n"), &Value::Null).await;
    assert_eq!(accepted.text(), expect);
    let either = gateway.api_with(&path, &format!("{token}accept: */*\r\n"), &Value::Null).await;
    assert_eq!(either.header("content-type"), Some("application/json"));
}

#[tokio::test(start_paused = true)]
async fn the_ledger_is_listed_page_by_page() {
    let gateway = gateway(BILLED);
    top_up(&gateway, "1", "a").await;
    for _ in 0..4 {
        assert_eq!(gateway.chat(SHORT).await.status, 200);
    }
    let records = gateway.records(4).await;
    let first = get(&gateway, "ledger?limit=3").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = get(&gateway, &format!("ledger?limit=3&cursor={cursor}")).await;
    assert_eq!(second["next_cursor"], Value::Null);
    let all: Vec<&Value> = [&first, &second].iter().flat_map(|page| page["data"].as_array().unwrap()).collect();
    let requests: Vec<&str> = all.iter().filter_map(|entry| entry["request_id"].as_str()).collect();
    let expect: Vec<String> = records.iter().rev().map(|record| record.id.to_string()).collect();
    assert_eq!(requests, expect);
    assert_eq!((all.len(), &all[4]["reference"]), (5, &json!("a")));
    assert_eq!(all[0]["postings"], json!({ "credits": "-0.00005275", "cost": "0.00005", "margin": "0.00000275" }));
    assert_eq!(
        (&all[0]["model"], &all[0]["provider"], &all[0]["key"]["name"]),
        (&json!("m"), &json!("p"), &json!("first"))
    );
    let effective = get(&gateway, "limits/effective?key=first").await;
    let credits = &effective["data"][0];
    assert_eq!((&credits["meter"], &credits["remaining"]), (&json!("credits"), &json!("0.999789")));
    assert_eq!((&credits["amount"], &credits["used"]), (&Value::Null, &Value::Null));
}
