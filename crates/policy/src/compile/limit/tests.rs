//! What limits say, and what is wrong with them.

use super::*;

fn limit(meter: &str, window: &str, amount: &str) -> LimitSpec {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    LimitSpec { meter: text(meter), window: text(window), amount: text(amount).map(Literal), ..LimitSpec::default() }
}

fn compiled(spec: &LimitSpec, within: Option<Scope>) -> Result<Rule, Vec<String>> {
    let mut report = Report::default();
    let rule = compile_limit(spec, &Origin::new("f", "limits[0]"), "", within, &Within::Anything, &mut report);
    let problems: Vec<String> =
        report.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    if problems.is_empty() { Ok(rule.unwrap()) } else { Err(problems) }
}

#[test]
fn reads_limits() {
    let check = |spec: &LimitSpec, meter, window, amount| {
        let rule = compiled(spec, None).unwrap();
        assert_eq!((rule.meter, rule.window, rule.amount), (meter, window, amount), "{spec:?}");
    };
    let rolling = |seconds| Span::Rolling(Duration::from_secs(seconds));
    check(&limit("requests", "60s", "600"), Meter::Requests, rolling(60), 600);
    check(&limit("tokens", "1h", "1_000_000"), Meter::Tokens, rolling(3_600), 1_000_000);
    check(&limit("input_tokens", "7d", "0"), Meter::InputTokens, rolling(604_800), 0);
    check(&limit("usd", "month", "25.50"), Meter::Usd, Span::Month, 25_500_000_000);
    check(&limit("usd", "total", "0.000001"), Meter::Usd, Span::Total, 1_000);
    check(&limit("usd", "billing_period", "5"), Meter::Usd, Span::BillingPeriod, 5_000_000_000);
    check(&limit("requests", "1s", "5"), Meter::Requests, rolling(1), 5);
    check(&limit("output_tokens", "day", "5"), Meter::OutputTokens, Span::Day, 5);
    check(&limit("concurrency", "", "8"), Meter::Concurrency, Span::Total, 8);
}

#[test]
fn says_what_is_wrong_with_one() {
    let check = |meter, window, amount, expect: &[&str]| {
        assert_eq!(compiled(&limit(meter, window, amount), None).unwrap_err(), expect, "{meter} {window} {amount}");
    };
    check("", "", "", &["limits[0].meter: missing", "limits[0].window: missing", "limits[0].amount: missing"]);
    check("request", "60s", "1", &["limits[0].meter: unknown meter"]);
    check("requests", "60", "1", &["limits[0].window: not a window"]);
    check("requests", "week", "1", &["limits[0].window: not a window"]);
    check("requests", "1ms", "1", &["limits[0].window: not between 1s and 400d"]);
    check("requests", "9999d", "1", &["limits[0].window: not between 1s and 400d"]);
    check("requests", "60s", "-1", &["limits[0].amount: not a whole number that is not negative"]);
    check("requests", "60s", "1.5", &["limits[0].amount: not a whole number that is not negative"]);
    check("usd", "day", "-1", &["limits[0].amount: negative"]);
    check("usd", "day", "0.0000001", &["limits[0].amount: finer than a millionth of a dollar"]);
    check("usd", "day", "1e30", &["limits[0].amount: too large"]);
    check("concurrency", "60s", "1", &["limits[0].window: concurrency is counted at every instant"]);
}

#[test]
fn reads_scopes_and_targets() {
    let check = |scope: Option<&str>,
                 name: Option<&str>,
                 target: Option<&str>,
                 expect: Result<(Scope, Target), &str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let spec = LimitSpec {
            scope: owned(scope),
            name: owned(name),
            target: owned(target),
            ..limit("requests", "60s", "1")
        };
        let found = compiled(&spec, None).map(|rule| (rule.scope, rule.target)).map_err(|problems| problems.join("; "));
        assert_eq!(found, expect.map_err(|message| format!("limits[0].{message}")), "{scope:?} {name:?} {target:?}");
    };
    check(None, None, None, Ok((Scope::Environment, Target::All)));
    check(Some("account"), None, Some("all"), Ok((Scope::Environment, Target::All)));
    check(
        Some("team:a"),
        None,
        Some("provider:openai"),
        Ok((Scope::Team(Some("a".into())), Target::Provider("openai".into()))),
    );
    check(
        Some("key"),
        Some("b"),
        Some("model:GPT-5"),
        Ok((Scope::Key(Some("b".into())), Target::Model("gpt-5".into()))),
    );
    check(Some("user"), None, None, Ok((Scope::User(None), Target::All)));
    check(Some("bucket"), None, None, Ok((Scope::Bucket(None), Target::All)));
    check(Some("bucket:my_api"), None, None, Ok((Scope::Bucket(Some("my_api".into())), Target::All)));
    let long = format!("bucket:{}", "x".repeat(129));
    for bad in ["bucket:my api", "bucket:b\u{fc}cket", &long] {
        check(Some(bad), None, None, Err("scope: not a name of a bucket: 1 to 128 visible ASCII characters"));
    }
    check(Some("teem"), None, None, Err("scope: unknown scope"));
    check(Some("team:a"), Some("b"), None, Err("name: the scope has a name already"));
    check(Some("team:"), None, None, Err("scope: the name is empty"));
    check(Some("environment:x"), None, None, Err("scope: an environment's limits are its own: no name"));
    check(None, None, Some("models:x"), Err("target: not a target"));
    check(None, None, Some("model:"), Err("target: not a target"));
}

#[test]
fn says_among_whom_it_is_enforced() {
    let with = |word: &str| LimitSpec { enforce: Some(word.to_owned()), ..limit("requests", "60s", "1") };
    assert_eq!(compiled(&limit("requests", "60s", "1"), None).unwrap().enforce, Enforce::Cluster);
    assert_eq!(compiled(&with("node"), None).unwrap().enforce, Enforce::Node);
    assert_eq!(compiled(&with("cluster"), None).unwrap().enforce, Enforce::Cluster);
    assert_eq!(compiled(&with("nodes"), None).unwrap_err(), ["limits[0].enforce: unknown word"]);
}

#[test]
fn a_limit_inside_a_key_is_the_key_s() {
    let own = Scope::Key(Some("k".into()));
    assert_eq!(compiled(&limit("requests", "60s", "1"), Some(own.clone())).unwrap().scope, own);
    let said = LimitSpec { scope: Some("key".into()), ..limit("requests", "60s", "1") };
    assert_eq!(compiled(&said, Some(own.clone())).unwrap().scope, own, "said once more");
    let another = LimitSpec { scope: Some("key:other".into()), ..limit("requests", "60s", "1") };
    assert_eq!(compiled(&another, Some(own.clone())).unwrap_err(), ["limits[0].scope: not here"]);
    let spec = LimitSpec { scope: Some("team".into()), ..limit("requests", "60s", "1") };
    assert_eq!(compiled(&spec, Some(own)).unwrap_err(), ["limits[0].scope: not here"]);
}
