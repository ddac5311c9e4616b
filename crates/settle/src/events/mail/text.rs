//! What an email says about an event.

use serde_json::Value;

/// Returns subject and text.
pub(super) fn of(event: &Value) -> (String, String) {
    let kind = event.get("type").and_then(Value::as_str).unwrap_or("event");
    let empty = Value::Null;
    let data = event.get("data").unwrap_or(&empty);
    let environment = word(data, "environment").unwrap_or_else(|| "default".to_owned());
    let headline = super::one_line(&headline(kind, data));
    let mut text = format!("{headline}\n\n");
    lines(data, "", &mut text);
    let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
    text.push_str(&format!(
        "\nEvent {id} ({kind}), sent by Crossway because an alert of its configuration names you.\n"
    ));
    (format!("[Crossway {environment}] {headline}"), text)
}

fn headline(kind: &str, data: &Value) -> String {
    let named = |member: &str| word(data, member).unwrap_or_default();
    let used = || format!("{} % of {} `{}`", named("threshold"), limit(data), named("limit"));
    match kind {
        "budget.exceeded" if data.get("refused") == Some(&Value::Bool(true)) => {
            format!("Requests are refused: {} `{}`{} does not cover them", limit(data), named("limit"), subject(data))
        }
        "budget.exceeded" => format!("{} `{}`{} is used up", capital(limit(data)), named("limit"), subject(data)),
        "budget.alert" | "usage.threshold" => format!("{}{} are used", used(), subject(data)),
        "alert.test" => format!("A trial of the alert `{}`", named("alert")),
        "credits.low" => format!("{} US dollars of the prepaid credits are left", named("balance_usd")),
        "account.suspended" => "The account is suspended: no request is served".to_owned(),
        "account.resumed" => "The account is active again".to_owned(),
        "credits.exhausted" => "The prepaid credits are used up".to_owned(),
        "billing.closed" => {
            format!("The statement of {}: {} US dollars were charged", named("month"), named("charged_usd"))
        }
        "provider.down" => format!("The provider `{}` is down: {}", named("provider"), named("reason")),
        "provider.up" => format!("The provider `{}` is up again", named("provider")),
        other => {
            let key = data.get("key").and_then(|key| word(key, "name"));
            key.map_or_else(|| other.to_owned(), |key| format!("{other}: key `{key}`"))
        }
    }
}

fn limit(data: &Value) -> &'static str {
    if word(data, "meter").as_deref() == Some("usd") { "the budget" } else { "the limit" }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Returns whose use it is, when it is somebody's.
fn subject(data: &Value) -> String {
    let subject = data.get("subject");
    let kind = subject.and_then(|subject| word(subject, "kind"));
    let name = subject.and_then(|subject| word(subject, "name"));
    match (kind, name) {
        (Some(kind), Some(name)) => format!(" of the {kind} `{name}`"),
        _ => String::new(),
    }
}

fn word(value: &Value, member: &str) -> Option<String> {
    match value.get(member)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Writes every member on a line of its own.
fn lines(value: &Value, path: &str, text: &mut String) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                lines(member, &path, text);
            }
        }
        Value::Null => {}
        Value::String(said) => text.push_str(&format!("{path}: {}\n", super::one_line(said))),
        other => text.push_str(&format!("{path}: {other}\n")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, data: Value, expect: &str) {
        let (subject, text) = of(&json!({ "id": "evt_1", "type": kind, "created": 1, "data": data }));
        assert_eq!(subject, expect);
        assert!(text.contains(&format!("({kind})")) && !text.contains('\r'), "{text}");
    }

    #[test]
    fn an_email_says_what_happened() {
        let budget = json!({
            "environment": "default", "limit": "monthly", "meter": "usd", "threshold": 70, "used_pct": 71.5,
            "subject": { "kind": "key", "name": "checkout" },
        });
        check(
            "budget.alert",
            budget.clone(),
            "[Crossway default] 70 % of the budget `monthly` of the key `checkout` are used",
        );
        check("budget.exceeded", budget, "[Crossway default] The budget `monthly` of the key `checkout` is used up");
        let refused = json!({ "limit": "m", "meter": "usd", "threshold": 100, "refused": true });
        check(
            "budget.exceeded",
            refused,
            "[Crossway default] Requests are refused: the budget `m` does not cover them",
        );
        let tokens = json!({ "limit": "daily", "meter": "tokens", "threshold": 90 });
        check("usage.threshold", tokens, "[Crossway default] 90 % of the limit `daily` are used");
        let down = json!({ "environment": "beta", "provider": "openai", "reason": "unreachable" });
        check("provider.down", down, "[Crossway beta] The provider `openai` is down: unreachable");
        let low = json!({ "environment": "beta", "balance_usd": "4.2", "threshold_usd": "5" });
        check("credits.low", low, "[Crossway beta] 4.2 US dollars of the prepaid credits are left");
        let closed = json!({ "month": "2026-11", "charged_usd": "12.5" });
        check("billing.closed", closed, "[Crossway default] The statement of 2026-11: 12.5 US dollars were charged");
        check("account.suspended", json!({}), "[Crossway default] The account is suspended: no request is served");
        check("key.revoked", json!({ "key": { "name": "a" } }), "[Crossway default] key.revoked: key `a`");
    }

    #[test]
    fn nothing_that_somebody_named_ends_a_line() {
        let name = "a\r\nBcc: x@y\r\n\r\n<b>hi\u{1b}[31m\u{202e}";
        let (subject, text) = of(&json!({ "type": "key.created", "data": { "key": { "name": name } } }));
        assert!(text.contains("key.name: a  Bcc: x@y    <b>hi [31m \n"), "{text}");
        assert!(text.starts_with("key.created: key `a  Bcc: x@y    <b>hi [31m `\n\n"), "{text}");
        assert_eq!(subject, "[Crossway default] key.created: key `a  Bcc: x@y    <b>hi [31m `");
    }
}
