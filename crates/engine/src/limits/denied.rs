//! What a caller is told whom a limit refuses.

use std::time::Duration;

use ir::failure::{Code, Failure, Fault};
use ir::money::NanoUsd;
use policy::limit::Meter;
use policy::limit::reservation::Denial;
use policy::limit::rule::{Rule, Scope, Span, Target};

/// When somebody may leave a place in flight: at any time.
const PLACE_MS: u64 = 1_000;

/// What is said where time alone does not help: the operator may have changed something by tomorrow.
const NEVER_MS: u64 = 86_400_000;

/// Returns the 429 of a denial.
pub(crate) fn failure(denial: &Denial) -> Failure {
    let limit = &denial.bound.limit;
    if limit.rule.meter == Meter::Credits {
        return no_credits();
    }
    let rule = &limit.rule;
    let code = code(rule);
    let wait_ms = match (denial.retry_ms, rule.meter) {
        (_, Meter::Concurrency) => PLACE_MS,
        (Some(wait_ms), _) => wait_ms.max(1),
        (None, _) => NEVER_MS,
    };
    let what = format!("{} allowed {}{}", amount(rule), whom(&rule.scope), of(&rule.target));
    let message = match (code, denial.retry_ms) {
        (Code::ConcurrencyLimited, _) if rule.amount > 0 => format!("too many requests at the same time: {what}"),
        (_, None) if denial.bound.counter.meter() != Meter::Requests && rule.window != Span::Total => {
            format!("this request may need more than is ever left: {what}; lower max_tokens or shorten the prompt")
        }
        (Code::BudgetExceeded, _) => format!("the budget does not cover this request: {what}"),
        _ => format!("rate limit reached: {what}"),
    };
    let found = Failure::new(code, Fault::Caller, message)
        .with_retry_after(Duration::from_millis(wait_ms))
        .with_detail(format!("limit {}: {what}", limit.name));
    let helps = code != Code::BudgetExceeded && (denial.retry_ms.is_some() || code == Code::ConcurrencyLimited);
    if helps { found } else { found.hopeless() }
}

/// Time alone brings no credits. How much is left is not the caller's to know.
fn no_credits() -> Failure {
    let message = "the credits of this account do not cover this request: ask the operator to add some, lower max_tokens, \
                   shorten the prompt, or use a free model";
    Failure::new(Code::InsufficientCredits, Fault::Caller, message)
        .with_retry_after(Duration::from_millis(NEVER_MS))
        .hopeless()
}

/// Money is a budget, and so are tokens for a day, a month or for ever; the rest is a rate.
fn code(rule: &Rule) -> Code {
    match (rule.meter, rule.window) {
        (Meter::Concurrency, _) => Code::ConcurrencyLimited,
        (Meter::Usd, _) => Code::BudgetExceeded,
        (Meter::Credits, _) => Code::InsufficientCredits,
        (Meter::Requests, _) | (_, Span::Rolling(_)) => Code::RateLimited,
        (_, Span::Day | Span::Month | Span::BillingPeriod | Span::Total) => Code::BudgetExceeded,
    }
}

/// Says how much is allowed: `60 requests in 60 s are`.
fn amount(rule: &Rule) -> String {
    let unit = match rule.meter {
        Meter::Requests => "requests",
        Meter::Tokens => "tokens",
        Meter::InputTokens => "input tokens",
        Meter::OutputTokens => "output tokens",
        Meter::Concurrency => return format!("{} at once are", rule.amount),
        Meter::Usd | Meter::Credits => {
            return format!("{} US dollars {} are", NanoUsd(rule.amount), window(rule.window));
        }
    };
    format!("{} {unit} {} are", rule.amount, window(rule.window))
}

fn window(span: Span) -> String {
    match span {
        Span::Rolling(length) => format!("in {} s", length.as_secs()),
        Span::Day => "a day".to_owned(),
        Span::Month => "a month".to_owned(),
        Span::BillingPeriod => "a billing period".to_owned(),
        Span::Total => "in all".to_owned(),
    }
}

/// The caller is told what it shares a limit with, and no name of it.
fn whom(scope: &Scope) -> &'static str {
    match scope {
        Scope::Environment => "for all keys together",
        Scope::Team(_) => "for the team",
        Scope::Key(_) => "for this API key",
        Scope::User(_) => "for this user",
        Scope::Ip(_) => "for this address",
        Scope::Bucket(_) => "for this bucket",
    }
}

fn of(target: &Target) -> String {
    match target {
        Target::All => String::new(),
        Target::Provider(name) => format!(" at the provider {name}"),
        Target::Model(slug) => format!(" with the model {slug}"),
    }
}

/// Returns the refusal of a model whose cost nobody could say, where money is limited.
pub(crate) fn unpriced(slug: &str) -> Failure {
    let message = format!(
        "the model `{slug}` has no price, and a budget in US dollars, or the account's credits, bind this API key: use a model with a price, or \
         have the operator give this one its prices (0 for a free model)"
    );
    Failure::new(Code::ModelNotAllowed, Fault::Caller, message).with_param("model")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::limit::counter::Counter;
    use policy::limit::reservation::Bound;
    use policy::limit::rule::Limit;
    use policy::limit::zone::Zone;

    use super::*;

    fn check(meter: Meter, window: Span, retry_ms: Option<u64>, expect: (Code, u64, Option<bool>, &str)) {
        let rule = Rule { meter, window, amount: 60, scope: Scope::Key(None), ..Rule::default() };
        let counter = Arc::new(Counter::new(meter, &Zone::default().window(window)));
        let limit = Arc::new(Limit { name: "rpm".into(), rule });
        let failure = failure(&Denial { bound: Bound { counter, amount: 60, limit }, retry_ms });
        let wait = failure.retry_after.unwrap().as_millis() as u64;
        assert_eq!((failure.code, wait, failure.should_retry, &*failure.message), expect);
        assert!(failure.status == 429 && failure.detail.unwrap().starts_with("limit rpm: "));
    }

    #[test]
    fn says_what_is_allowed_and_when_to_come_back() {
        let minute = Span::Rolling(Duration::from_secs(60));
        let rate = "rate limit reached: 60 requests in 60 s are allowed for this API key";
        check(Meter::Requests, minute, Some(900), (Code::RateLimited, 900, None, rate));
        let places = "too many requests at the same time: 60 at once are allowed for this API key";
        check(Meter::Concurrency, Span::Total, None, (Code::ConcurrencyLimited, 1_000, None, places));
        let budget =
            "the budget does not cover this request: 0.00000006 US dollars a month are allowed for this API key";
        check(Meter::Usd, Span::Month, Some(5_000), (Code::BudgetExceeded, 5_000, Some(false), budget));
        let quota = "the budget does not cover this request: 60 tokens a day are allowed for this API key";
        check(Meter::Tokens, Span::Day, Some(5), (Code::BudgetExceeded, 5, Some(false), quota));
        let large = "this request may need more than is ever left: 60 output tokens in 60 s are allowed for this API \
                     key; lower max_tokens or shorten the prompt";
        check(Meter::OutputTokens, minute, None, (Code::RateLimited, 86_400_000, Some(false), large));
        let used_up = "the budget does not cover this request: 60 tokens in all are allowed for this API key";
        check(Meter::Tokens, Span::Total, None, (Code::BudgetExceeded, 86_400_000, Some(false), used_up));
    }
}
