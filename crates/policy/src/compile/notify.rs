//! Webhooks and alerts.

use std::sync::Arc;

use url::Url;

use super::Report;
use super::header::{check_value, compile_name};
use super::key::MAX_DESCRIPTION;
use super::text::check_prose;
use crate::notify::{Alert, EVENT_TYPES, Pattern, Webhook};
use crate::problem::{Origin, did_you_mean};
use crate::secret::Secret;
use crate::spec::alert::AlertSpec;
use crate::spec::webhook::WebhookSpec;
use crate::spec::{Entry, Specs};

/// The most webhooks, and the most alerts, of one environment.
const MAX_ENTRIES: usize = 100;

/// The most items of a list: patterns, headers, addresses, names.
const MAX_ITEMS: usize = 50;

/// The most shares of a limit.
const MAX_THRESHOLDS: usize = 10;

/// How long a signing secret is, in characters.
const SECRET: std::ops::RangeInclusive<usize> = 16..=256;

/// The longest URL, in bytes.
const MAX_URL: usize = 2_048;

/// The longest email address (RFC 5321 section 4.5.3.1.3).
const MAX_ADDRESS: usize = 254;

/// The header of the signature when nobody says another.
const SIGNATURE: &str = "x-crossway-signature";

/// Headers that every delivery has.
const OWN: [&str; 6] = [
    "user-agent",
    "x-crossway-signature-v2",
    "x-crossway-timestamp",
    "x-crossway-event",
    "x-crossway-delivery",
    "x-crossway-event-id",
];

/// Compiles the webhooks of an environment.
pub(super) fn compile_webhooks(entries: &[Entry<WebhookSpec>], report: &mut Report) -> Vec<Arc<Webhook>> {
    too_many(entries, "webhooks", report);
    entries.iter().take(MAX_ENTRIES).filter_map(|entry| compile_webhook(entry, report).map(Arc::new)).collect()
}

fn too_many<T>(entries: &[Entry<T>], what: &str, report: &mut Report) {
    if let Some(entry) = entries.get(MAX_ENTRIES) {
        report.add(&entry.origin, "", format!("too many {what} in one environment: at most {MAX_ENTRIES}"));
    }
}

fn compile_webhook(entry: &Entry<WebhookSpec>, report: &mut Report) -> Option<Webhook> {
    let Entry { name, spec, origin } = entry;
    check_prose(&spec.description, MAX_DESCRIPTION, origin, "description", report);
    let url = webhook_url(spec.url.as_deref(), origin, report);
    let events = match &spec.events {
        Some(events) if !events.is_empty() => patterns(events, origin, report),
        _ => {
            let hint = Some("such as [\"budget.*\", \"key.created\"], or [\"*\"] for all".to_owned());
            report.add_hint(origin, "events", "missing: which events are sent", hint);
            Vec::new()
        }
    };
    let secret = signing_secret("secret", spec.secret.as_ref(), origin, report);
    // Where a webhook is stored it has one: a new one that names none gets one. A file need not hold it.
    let before = signing_secret("previous_secret", spec.previous_secret.as_ref(), origin, report);
    let previous = before.zip(spec.previous_until.map(|until| until.unix_ms()));
    let signature_header = signature_header(spec.signature_header.as_deref(), origin, report);
    let headers = headers(spec, &signature_header, origin, report);
    Some(Webhook {
        name: name.as_str().into(),
        url: url?,
        events,
        secret: secret?,
        previous,
        signature_header,
        headers,
        enabled: spec.enabled.unwrap_or(true),
    })
}

/// Checks the form of an address. Whether it may be reached at all is for those to say who know networks.
fn webhook_url(text: Option<&str>, origin: &Origin, report: &mut Report) -> Option<Box<str>> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        report.add(origin, "url", "missing: where events are sent");
        return None;
    };
    let fault = match Url::parse(text) {
        _ if text.len() > MAX_URL => Some("longer than 2048 bytes"),
        Err(_) => Some("not a URL"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Some("not an http or https URL"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("a URL may not hold credentials: use headers")
        }
        Ok(url) if url.fragment().is_some() => Some("a fragment is not sent: leave it out"),
        Ok(_) => None,
    };
    match fault {
        Some(fault) => {
            report.add_hint(origin, "url", fault, Some("write it like https://example.com/hook".to_owned()));
            None
        }
        None => Some(text.into()),
    }
}

fn patterns(events: &[String], origin: &Origin, report: &mut Report) -> Vec<Pattern> {
    let mut found = Vec::with_capacity(events.len().min(MAX_ITEMS));
    bounded(events, "events", origin, report);
    for (index, text) in events.iter().enumerate().take(MAX_ITEMS) {
        match Pattern::parse(text.trim()) {
            Some(pattern) => found.push(pattern),
            None => {
                let near = did_you_mean(text.trim(), EVENT_TYPES);
                let hint = near.unwrap_or_else(|| format!("*, PREFIX.*, or one of {}", EVENT_TYPES.join(", ")));
                report.add_hint(origin, &format!("events[{index}]"), "no event has this type", Some(hint));
            }
        }
    }
    found
}

fn bounded<T>(items: &[T], field: &str, origin: &Origin, report: &mut Report) {
    if items.len() > MAX_ITEMS {
        report.add(origin, field, format!("too many: at most {MAX_ITEMS}"));
    }
}

fn signing_secret(field: &str, secret: Option<&Secret>, origin: &Origin, report: &mut Report) -> Option<Secret> {
    let secret = secret?;
    let visible = secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !SECRET.contains(&secret.expose().len()) {
        report.add(origin, field, "not a signing secret: 16 to 256 visible ASCII characters");
        return None;
    }
    Some(secret.clone())
}

fn signature_header(name: Option<&str>, origin: &Origin, report: &mut Report) -> Box<str> {
    let name = name.unwrap_or(SIGNATURE);
    match compile_name(name) {
        Ok(name) if OWN.contains(&name.as_str()) => {
            report.add(origin, "signature_header", "this header has another meaning in deliveries");
        }
        Ok(_) => {}
        Err(fault) => report.add(origin, "signature_header", fault),
    }
    name.into()
}

fn headers(spec: &WebhookSpec, signature: &str, origin: &Origin, report: &mut Report) -> Vec<(Box<str>, Secret)> {
    if spec.headers.len() > MAX_ITEMS {
        report.add(origin, "headers", format!("too many: at most {MAX_ITEMS}"));
    }
    let mut found = Vec::with_capacity(spec.headers.len().min(MAX_ITEMS));
    for (name, value) in spec.headers.iter().take(MAX_ITEMS) {
        let field = format!("headers.{name}");
        let lower = name.to_ascii_lowercase();
        // A receiver may well want a token of its own: that is no business of the gateway's own authentication.
        let fault = match compile_name(&lower) {
            _ if matches!(lower.as_str(), "authorization" | "api-key") => None,
            Err(fault) => Some(fault),
            Ok(_) if OWN.contains(&lower.as_str()) || lower == signature.to_ascii_lowercase() => {
                Some("this header has another meaning in deliveries")
            }
            Ok(_) => None,
        };
        match fault.or_else(|| check_value(value.expose()).err()) {
            Some(fault) => report.add(origin, &field, fault),
            None => found.push((name.as_str().into(), value.clone())),
        }
    }
    found
}

/// Compiles the alerts of an environment; those that are switched off are left out.
pub(super) fn compile_alerts(specs: &Specs, report: &mut Report) -> Vec<Arc<Alert>> {
    too_many(&specs.alerts, "alerts", report);
    let mut alerts = Vec::with_capacity(specs.alerts.len().min(MAX_ENTRIES));
    for entry in specs.alerts.iter().take(MAX_ENTRIES) {
        let alert = compile_alert(entry, specs, report);
        if entry.spec.enabled.unwrap_or(true) {
            alerts.push(Arc::new(alert));
        }
    }
    alerts
}

fn compile_alert(entry: &Entry<AlertSpec>, specs: &Specs, report: &mut Report) -> Alert {
    let Entry { name, spec, origin } = entry;
    check_prose(&spec.description, MAX_DESCRIPTION, origin, "description", report);
    if spec.emails.is_empty() && spec.webhooks.is_empty() {
        report.add(origin, "emails", "nobody is told: name emails or webhooks");
    }
    bounded(&spec.emails, "emails", origin, report);
    bounded(&spec.webhooks, "webhooks", origin, report);
    let mut names = |field: &str, list: &Option<Vec<String>>| -> Option<Vec<Box<str>>> {
        let list = list.as_ref()?;
        bounded(list, field, origin, report);
        if list.is_empty() {
            report.add(origin, field, "an empty list means nothing: leave it out for all");
        }
        Some(list.iter().take(MAX_ITEMS).map(|name| name.as_str().into()).collect())
    };
    let (limits, keys, teams) = (names("limits", &spec.limits), names("keys", &spec.keys), names("teams", &spec.teams));
    for (index, email) in spec.emails.iter().enumerate().take(MAX_ITEMS) {
        if !is_address(email) {
            report.add(origin, &format!("emails[{index}]"), "not an email address: write it like ops@example.com");
        }
    }
    for (index, webhook) in spec.webhooks.iter().enumerate().take(MAX_ITEMS) {
        let there = specs.webhooks.iter().any(|entry| entry.name == *webhook);
        if !there {
            let hint = did_you_mean(webhook, specs.webhooks.iter().map(|entry| entry.name.as_str()));
            report.add_hint(origin, &format!("webhooks[{index}]"), "there is no webhook of this name", hint);
        }
    }
    Alert {
        name: name.as_str().into(),
        events: spec.events.as_ref().map(|events| patterns(events, origin, report)),
        limits,
        keys,
        teams,
        thresholds: spec.thresholds.as_ref().map(|list| thresholds(list, origin, "thresholds", report)),
        emails: spec.emails.iter().map(|email| email.trim().into()).collect(),
        webhooks: spec.webhooks.iter().map(|name| name.as_str().into()).collect(),
    }
}

/// Checks shares of a limit, and puts them in order.
pub(super) fn thresholds(list: &[u32], origin: &Origin, field: &str, report: &mut Report) -> Vec<u8> {
    if list.len() > MAX_THRESHOLDS {
        report.add(origin, field, format!("too many: at most {MAX_THRESHOLDS}"));
    }
    let mut found = Vec::with_capacity(list.len().min(MAX_THRESHOLDS));
    for (index, percent) in list.iter().enumerate().take(MAX_THRESHOLDS) {
        match u8::try_from(*percent) {
            Ok(percent @ 1..=100) => found.push(percent),
            _ => report.add(origin, &format!("{field}[{index}]"), "not a share: a whole number of percent, 1 to 100"),
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a text is one plain email address: ASCII, without quotes, brackets or anything that could end a header.
pub(super) fn is_address(text: &str) -> bool {
    let text = text.trim();
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>,;:\"\\()[]".contains(&byte);
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let parts = text.split_once('@');
    let good = |(local, domain): (&str, &str)| !local.is_empty() && local.len() <= 64 && domain.split('.').all(label);
    text.len() <= MAX_ADDRESS && text.bytes().all(plain) && parts.is_some_and(good)
}

#[cfg(test)]
mod tests;
