//! Values as people see them: what may be a secret is never shown, whatever the gateway answered.

use serde_json::Value;

/// What stands for a secret.
const SECRET: &str = "(secret)";

/// Returns a member's value as text on one line.
pub fn value_text(kind: &str, member: &str, value: &Value) -> String {
    let mut shown = value.clone();
    if kind == "providers" {
        hide(member, &mut shown);
    }
    shown.to_string()
}

fn hide(member: &str, value: &mut Value) {
    let name = member.split(['.', '[']).next().unwrap_or_default();
    match (name, value) {
        ("headers", Value::Object(members)) => {
            members.values_mut().for_each(|value| *value = SECRET.into());
        }
        ("credentials", Value::Array(items)) => {
            for credential in items.iter_mut().filter_map(Value::as_object_mut) {
                if let Some(value) = credential.get_mut("value") {
                    *value = SECRET.into();
                }
            }
        }
        ("api_key" | "headers", value) => *value = SECRET.into(),
        ("credentials", value) if member.ends_with(".value") => *value = SECRET.into(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(member: &str, value: &Value, expect: &str) {
        assert_eq!(value_text("providers", member, value), expect, "{member}");
    }

    #[test]
    fn secrets_are_never_shown() {
        check("api_key", &json!("sk-x"), r#""(secret)""#);
        check("headers", &json!({"X-Team": "sk-x", "Y": null}), r#"{"X-Team":"(secret)","Y":"(secret)"}"#);
        check("headers.X-Team", &json!("sk-x"), r#""(secret)""#);
        check("credentials[0].value", &json!("sk-x"), r#""(secret)""#);
        check("credentials[0].weight", &json!(3), "3");
        let credentials = json!([{"name": "1", "value": "sk-x", "weight": 2}, {"weight": 1}]);
        check("credentials", &credentials, r#"[{"name":"1","value":"(secret)","weight":2},{"weight":1}]"#);
        check("base_url", &json!("http://x"), r#""http://x""#);
    }
}
