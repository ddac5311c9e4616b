//! Query parameters as filters. Unknown ones never get here: the frame refuses what a route does not declare.

use ir::civil::parse_rfc3339;
use ir::money::NanoUsd;
use ir::settlement::Outcome;
use store::records::filter::Filter;

use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::route::{Form, Parameter};

const WORD: Form = Form::Text { most: 256 };
const AMOUNT: Form = Form::Text { most: 32 };
/// The most of a list of words.
const LIST: Form = Form::Text { most: 1_024 };

/// The filters that every path of the log takes.
pub(in crate::admin) const FILTERS: [Parameter; 19] = [
    Parameter::query("key", WORD, "The key's name, or its id."),
    Parameter::query("team", WORD, "The team that the key belonged to."),
    Parameter::query("model", WORD, "The model that answered; `*` stands for any characters."),
    Parameter::query("requested_model", WORD, "The model that was asked for; `*` stands for any characters."),
    Parameter::query("provider", WORD, "The provider that answered."),
    Parameter::query("status", LIST, "Statuses and classes of them, such as `200`, `4xx` or `429,5xx`."),
    Parameter::query(
        "outcome",
        LIST,
        "How it ended: `succeeded`, `failed`, `cancelled`, `refused`, `revoked`, `orphaned`, or several.",
    ),
    Parameter::query("error", LIST, "Stable error codes."),
    Parameter::query("surface", WORD, "The surface that was called, such as `openai.chat`."),
    Parameter::query("stream", Form::Flag, "Whether a stream was asked for."),
    Parameter::query("fallback", Form::Flag, "Whether there was more than one attempt."),
    Parameter::query("tag", WORD, "A tag that the cost is booked under."),
    Parameter::query("id", WORD, "A piece of the request's id."),
    Parameter::query("from", WORD, "From this instant on: RFC 3339, or Unix milliseconds."),
    Parameter::query("to", WORD, "Before this instant: RFC 3339, or Unix milliseconds."),
    Parameter::query("min_cost", AMOUNT, "What it cost at least, US dollars."),
    Parameter::query("max_cost", AMOUNT, "What it cost at most, US dollars."),
    Parameter::query("min_latency_ms", AMOUNT, "How long it took at least, milliseconds."),
    Parameter::query("max_latency_ms", AMOUNT, "How long it took at most, milliseconds."),
];

/// Reads the filters of a call.
///
/// # Errors
/// 400 that names the parameter.
pub(in crate::admin) fn filter(call: &Call) -> Result<Filter, Problem> {
    read(|name| call.query(name))
}

fn read<'a>(query: impl Fn(&str) -> Option<&'a str>) -> Result<Filter, Problem> {
    let text = |name: &'static str| match query(name) {
        Some("") => Err(Problem::invalid(name, format!("{name} is empty")).hint("leave it out to see everything")),
        value => Ok(value.map(str::to_owned)),
    };
    let words = |name: &'static str| match query(name) {
        None => Ok(Vec::new()),
        Some(list) if list.split(',').any(|word| word.trim().is_empty()) => {
            Err(Problem::invalid(name, format!("{name} must be one word or several with commas between them")))
        }
        Some(list) => Ok(list.split(',').map(|word| word.trim().to_owned()).collect()),
    };
    let outcomes = words("outcome")?;
    // A misspelt word would find nothing, and be read as: nothing failed.
    let known = Outcome::ALL.map(Outcome::name);
    if outcomes.iter().any(|word| !known.contains(&word.as_str())) {
        let hint = format!("known: {}", known.join(", "));
        return Err(Problem::invalid("outcome", "outcome has a word that is unknown").hint(hint));
    }
    let flag = |name| query(name).map(|value| value == "true");
    let instant = |name| query(name).map(|value| instant(name, value)).transpose();
    let dollars = |name| query(name).map(|value| fixed(name, value, 9)).transpose();
    let micros = |name| query(name).map(|value| fixed(name, value, 3)).transpose();
    let filter = Filter {
        visible_keys: None,
        key: text("key")?,
        team: text("team")?,
        model: text("model")?,
        requested_model: text("requested_model")?,
        provider: text("provider")?,
        statuses: statuses(query("status"))?,
        outcomes,
        errors: words("error")?,
        surface: text("surface")?,
        stream: flag("stream"),
        fallback: flag("fallback"),
        tag: text("tag")?,
        from_ms: instant("from")?,
        to_ms: instant("to")?,
        min_cost: dollars("min_cost")?.map(NanoUsd),
        max_cost: dollars("max_cost")?.map(NanoUsd),
        min_latency_us: micros("min_latency_ms")?,
        max_latency_us: micros("max_latency_ms")?,
        id: text("id")?,
    };
    let upside_down = |least: Option<u64>, most: Option<u64>| least.zip(most).is_some_and(|(least, most)| least > most);
    let costs = [filter.min_cost, filter.max_cost].map(|cost| cost.map(|cost| cost.0));
    let pairs = [
        ("from", "to", [filter.from_ms, filter.to_ms]),
        ("min_cost", "max_cost", costs),
        ("min_latency_ms", "max_latency_ms", [filter.min_latency_us, filter.max_latency_us]),
    ];
    for (low, high, [least, most]) in pairs {
        if upside_down(least, most) {
            return Err(Problem::invalid(low, format!("{low} is larger than {high}")));
        }
    }
    Ok(filter)
}

/// Returns the span of time that a filter means. Without `from` it begins so long before its end, or at the beginning.
///
/// # Errors
/// 400 when it ends before it begins.
pub(in crate::admin) fn span(filter: &Filter, now_ms: u64, length_ms: Option<u64>) -> Result<(u64, u64), Problem> {
    // What is being recorded now is in it.
    let to_ms = filter.to_ms.unwrap_or(now_ms + 1);
    let from_ms = filter.from_ms.unwrap_or_else(|| length_ms.map_or(0, |length| to_ms.saturating_sub(length)));
    if from_ms > to_ms {
        return Err(Problem::invalid("from", "from is later than to"));
    }
    Ok((from_ms, to_ms))
}

/// Reads an instant.
///
/// # Errors
/// 400 that names the parameter.
pub(in crate::admin) fn instant(name: &str, text: &str) -> Result<u64, Problem> {
    let whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A plus sign of an offset that was not escaped has become a space.
    let (date, offset) = text.split_at_checked(19).unwrap_or((text, ""));
    let read = if whole { text.parse().ok() } else { parse_rfc3339(&format!("{date}{}", offset.replace(' ', "+"))) };
    // Beyond the year 9999 no calendar goes on.
    read.filter(|ms| *ms <= 253_402_300_799_999).ok_or_else(|| {
        Problem::invalid(name, format!("{name} must be an instant"))
            .hint("such as 2026-11-21T09:00:00Z or 1795251600000 (Unix milliseconds)")
    })
}

/// Reads statuses and classes of them.
fn statuses(text: Option<&str>) -> Result<Vec<(u16, u16)>, Problem> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let one = |word: &str| {
        let digits = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        if digits {
            return word.parse().ok().filter(|status| (100..600).contains(status)).map(|status| (status, status));
        }
        let class: u16 = word.strip_suffix("xx")?.parse().ok().filter(|class| (1..6).contains(class))?;
        Some((class * 100, class * 100 + 99))
    };
    let read: Option<Vec<_>> = text.split(',').map(|word| one(word.trim())).collect();
    read.ok_or_else(|| {
        Problem::invalid("status", "status must be statuses or classes of them").hint("such as 200, 4xx or 429,5xx")
    })
}

/// Reads a decimal number, as a whole number of its last place.
fn fixed(name: &str, text: &str, places: usize) -> Result<u64, Problem> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let read = (digits(whole) && digits(fraction) && fraction.len() <= places)
        .then(|| format!("{whole}{fraction:0<places$}").parse().ok())
        .flatten();
    read.ok_or_else(|| {
        let message = format!("{name} must be a number, not negative, with at most {places} decimals");
        Problem::invalid(name, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &[(&str, &'static str)]) -> Result<Filter, Problem> {
        let query: Vec<_> = query.to_vec();
        read(move |name| query.iter().find(|(other, _)| *other == name).map(|(_, value)| *value))
    }

    #[test]
    fn every_filter_is_read() {
        let read = of(&[
            ("status", "200, 4xx,503"),
            ("outcome", "failed,refused"),
            ("stream", "true"),
            ("fallback", "false"),
            ("from", "2026-11-21T09:00:00Z"),
            ("to", "1795251600001"),
            ("min_cost", "0.01"),
            ("max_cost", "2"),
            ("min_latency_ms", "1.5"),
            ("model", "gpt-*"),
        ]);
        let expect = Filter {
            statuses: vec![(200, 200), (400, 499), (503, 503)],
            outcomes: vec!["failed".into(), "refused".into()],
            stream: Some(true),
            fallback: Some(false),
            from_ms: Some(1_795_251_600_000),
            to_ms: Some(1_795_251_600_001),
            min_cost: Some(NanoUsd(10_000_000)),
            max_cost: Some(NanoUsd(2_000_000_000)),
            min_latency_us: Some(1_500),
            model: Some("gpt-*".into()),
            ..Filter::default()
        };
        assert_eq!(read.unwrap(), expect);
        assert_eq!(of(&[]).unwrap(), Filter::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |name: &str, value: &'static str| {
            let problem = of(&[(name, value)]).unwrap_err();
            assert!(problem.message().contains(name), "{name}={value}: {}", problem.message());
        };
        for value in ["", "20", "2000", "6xx", "0xx", "xx", "200,", "x", "099", "4XX", "-20"] {
            check("status", value);
        }
        for value in ["", "yesterday", "-1", "1.5", "99999999999999999999", "2026-13-01T00:00:00Z"] {
            check("from", value);
            check("to", value);
        }
        for value in ["", "-1", "1e3", ".", "1.", ".5", "0.0000000001", "NaN", "99999999999999999999"] {
            check("min_cost", value);
        }
        check("max_latency_ms", "1.0001");
        check("key", "");
        check("outcome", "failed,,refused");
        check("outcome", "fail");
        check("outcome", "failed,error");
    }

    #[test]
    fn ends_are_in_order() {
        assert!(of(&[("from", "2"), ("to", "1")]).unwrap_err().message().contains("from is larger"));
        assert!(of(&[("min_cost", "0.2"), ("max_cost", "0.1")]).is_err());
        assert!(of(&[("from", "1"), ("to", "1")]).is_ok());
        let later = Filter { from_ms: Some(10), ..Filter::default() };
        assert!(span(&later, 5, None).is_err());
        assert_eq!(span(&Filter::default(), 5, Some(3)).unwrap(), (3, 6));
        assert_eq!(span(&later, 20, Some(3)).unwrap(), (10, 21));
    }
}
