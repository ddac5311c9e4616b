//! A key's own limit on the command line: `usd=25/month`, `requests=100/60s`, `tokens=1000000/day@model:gpt-4o`,
//! `concurrency=4`. What it means is checked where every limit is.

use policy::spec::limit::LimitSpec;
use policy::spec::literal::Literal;

/// How a limit is written.
const FORM: &str = "write it as METER=AMOUNT/WINDOW, such as usd=25/month, requests=100/60s or concurrency=4; \
                    @provider:NAME or @model:SLUG behind it counts that alone";

/// Reads a limit.
pub fn limit(text: &str) -> Result<LimitSpec, String> {
    let (rest, target) = text.split_once('@').map_or((text, None), |(rest, target)| (rest, Some(target)));
    let (meter, rest) = rest.split_once('=').ok_or(FORM)?;
    let (amount, window) = rest.split_once('/').map_or((rest, None), |(amount, window)| (amount, Some(window)));
    let parts = [Some(meter), Some(amount), window, target];
    if parts.iter().flatten().any(|part| part.is_empty() || part.trim() != *part) {
        return Err(FORM.to_owned());
    }
    Ok(LimitSpec {
        meter: Some(meter.to_owned()),
        amount: Some(Literal(amount.to_owned())),
        window: window.map(str::to_owned),
        target: target.map(str::to_owned),
        ..LimitSpec::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<(&str, &str, Option<&str>, Option<&str>)>) {
        let read = limit(text).ok();
        let read = read.as_ref().map(|limit| {
            let amount = limit.amount.as_ref().map_or("", |amount| &amount.0);
            (limit.meter.as_deref().unwrap_or_default(), amount, limit.window.as_deref(), limit.target.as_deref())
        });
        assert_eq!(read, expect, "{text}");
    }

    #[test]
    fn limits_are_read() {
        check("usd=25.50/month", Some(("usd", "25.50", Some("month"), None)));
        check("requests=100/60s", Some(("requests", "100", Some("60s"), None)));
        check("concurrency=4", Some(("concurrency", "4", None, None)));
        check("tokens=9/day@model:llama3:8b", Some(("tokens", "9", Some("day"), Some("model:llama3:8b"))));
        for wrong in ["", "usd", "usd=", "=5/day", "usd=5/", "usd=5/day@", "usd = 5/day", "usd 5/day"] {
            check(wrong, None);
        }
    }
}
