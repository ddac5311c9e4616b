//! Providers: addresses, credentials, headers, deadlines.

use std::sync::Arc;
use std::time::Duration;

use catalog::load::Vendors;
use catalog::vendor::{Auth, Vendor};
use url::Url;

use super::{Report, header};
use crate::load::environment::base_url_variable;
use crate::problem::{Origin, did_you_mean};
use crate::secret::Secret;
use crate::snapshot::http_name::HeaderName;
use crate::snapshot::{Credential, ModelIndex, Provider, Timeouts};
use crate::spec::Entry;
use crate::spec::provider::ProviderSpec;

/// A checked provider whose models are not numbered yet.
pub(super) struct ProviderDraft {
    /// Its place among the written entries.
    pub(super) entry: usize,
    pub(super) name: Arc<str>,
    pub(super) vendor: Arc<Vendor>,
    pub(super) enabled: bool,
    /// The final place of its default model, once it is known.
    pub(super) default_model: Option<ModelIndex>,
    /// `None` when it is faulty, which has been reported.
    base_url: Option<Url>,
    credentials: Vec<Credential>,
    force_default_model: bool,
    headers: Vec<(HeaderName, String)>,
    timeouts: Timeouts,
}

impl ProviderDraft {
    /// Returns the provider; `None` when its address is faulty.
    pub(super) fn finish(self) -> Option<Provider> {
        Some(Provider {
            name: self.name,
            vendor: self.vendor,
            base_url: self.base_url?,
            credentials: self.credentials,
            default_model: self.default_model,
            force_default_model: self.force_default_model,
            headers: self.headers,
            timeouts: self.timeouts,
        })
    }
}

/// Checks every provider. One without a usable kind is left out; its problem is reported.
pub(super) fn compile_providers(
    entries: &[Entry<ProviderSpec>],
    vendors: &Vendors,
    report: &mut Report,
) -> Vec<ProviderDraft> {
    let mut drafts: Vec<ProviderDraft> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        check_name(entry, report);
        let vendor = vendor_of(entry, vendors, report);
        let url = vendor.as_deref().and_then(|vendor| base_url(entry, vendor, report));
        let credentials = credentials(entry, vendor.as_deref(), report);
        let headers = headers(&entry.spec, &entry.origin, report);
        let timeouts = timeouts(&entry.spec, &entry.origin, report);
        let Some(vendor) = vendor else { continue };
        drafts.push(ProviderDraft {
            entry: index,
            name: Arc::from(entry.name.as_str()),
            vendor,
            enabled: entry.spec.enabled.unwrap_or(true),
            default_model: None,
            base_url: url,
            credentials,
            force_default_model: entry.spec.force_default_model,
            headers,
            timeouts,
        });
    }
    drafts
}

/// Names are lower case and hold no slash, because `provider/model` is a name too.
fn check_name(entry: &Entry<ProviderSpec>, report: &mut Report) {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let name = &entry.name;
    if name.is_empty() || name.len() > 63 || !name.bytes().all(valid) || name.starts_with(['.', '_', '-']) {
        let message = "not a provider name: 1 to 63 lower-case letters, digits, dots, dashes or underscores";
        report.add(&entry.origin, "", message);
    }
}

fn vendor_of(entry: &Entry<ProviderSpec>, vendors: &Vendors, report: &mut Report) -> Option<Arc<Vendor>> {
    let kinds = || vendors.iter().map(|vendor| &*vendor.kind);
    let Some(kind) = &entry.spec.kind else {
        let found = vendors.get(&entry.name).map(Arc::clone);
        if found.is_none() {
            let hint = did_you_mean(&entry.name, kinds())
                .unwrap_or_else(|| "write kind = \"openai-compatible\" for any other server".to_owned());
            report.add_hint(&entry.origin, "kind", "missing, and the name is no vendor", Some(hint));
        }
        return found.filter(|_| !entry.origin.is_broken("kind"));
    };
    let found = vendors.get(kind).map(Arc::clone);
    if found.is_none() {
        let all = || format!("known: {}", kinds().collect::<Vec<_>>().join(", "));
        let hint = did_you_mean(kind, kinds()).unwrap_or_else(all);
        report.add_hint(&entry.origin, "kind", "unknown vendor", Some(hint));
    }
    found
}

/// Returns the address, without a trailing slash in its path.
fn base_url(entry: &Entry<ProviderSpec>, vendor: &Vendor, report: &mut Report) -> Option<Url> {
    let origin = &entry.origin;
    let Some(text) = entry.spec.base_url.as_deref().or(vendor.base_url.as_deref()) else {
        let hint = format!("set it, or {}", base_url_variable(&entry.name));
        let message = format!("missing: {} has no usual address", vendor.title);
        report.add_hint(origin, "base_url", message, Some(hint));
        return None;
    };
    if entry.spec.base_url.is_none() && vendor.auth == Auth::None {
        return Url::parse(text).ok();
    }
    match check_url(text) {
        Ok(url) => Some(in_form(url, vendor)),
        Err((message, hint)) => {
            report.add_hint(origin, "base_url", message, hint.map(str::to_owned));
            None
        }
    }
}

/// Brings the path of an address to the one that the vendor's paths are appended to.
fn in_form(mut url: Url, vendor: &Vendor) -> Url {
    if let Some(path) = vendor.base_paths.get(url.path().trim_end_matches('/')) {
        url.set_path(path);
    }
    url
}

/// Reads an address. Messages do not repeat it, because people put credentials into addresses.
fn check_url(text: &str) -> Result<Url, (&'static str, Option<&'static str>)> {
    let mut url = match Url::parse(text.trim()) {
        Ok(url) => url,
        Err(_) => return Err(("not a URL", Some("write it like https://api.example.com/v1"))),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(("not an http or https URL", Some("write it like https://api.example.com/v1")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(("a URL may not hold credentials", Some("use api_key or headers")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(("a base URL has no query and no fragment", None));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path.ends_with("/chat/completions") {
        return Err(("a base URL ends before /chat/completions", None));
    }
    if path.ends_with("/messages") {
        return Err(("a base URL ends before /messages", None));
    }
    url.set_path(&path);
    Ok(url)
}

fn credentials(entry: &Entry<ProviderSpec>, vendor: Option<&Vendor>, report: &mut Report) -> Vec<Credential> {
    let (spec, origin) = (&entry.spec, &entry.origin);
    let mut found = Vec::new();
    if spec.api_key.is_some() && !spec.credentials.is_empty() {
        report.add_hint(origin, "api_key", "both api_key and credentials", Some("keep one of them".to_owned()));
    }
    if let Some(value) = &spec.api_key {
        credential(value, 1, origin, "api_key", report, &mut found);
    }
    for (index, one) in spec.credentials.iter().enumerate() {
        let weight = one.weight.unwrap_or(1);
        if !(1..=1_000_000).contains(&weight) {
            report.add(origin, &format!("credentials[{index}].weight"), "not between 1 and 1000000");
        }
        let names = spec.credentials.iter().take(index).filter_map(|other| other.name.as_deref());
        if let Some(name) = one.name.as_deref() {
            check_credential_name(name, names, origin, &format!("credentials[{index}].name"), report);
        }
        let field = format!("credentials[{index}].value");
        match &one.value {
            Some(value) => credential(value, weight, origin, &field, report, &mut found),
            None => report.add(origin, &field, "missing"),
        }
    }
    let written = spec.api_key.is_some() || !spec.credentials.is_empty();
    let broken = origin.is_broken("api_key") || origin.is_broken("credentials");
    let wanted = vendor.filter(|vendor| !vendor.credential_optional && vendor.auth != Auth::None);
    if let Some(vendor) = wanted.filter(|_| !written && !broken && spec.enabled != Some(false)) {
        let hint = vendor.credential_env.as_deref().map(|variable| format!("set it, or {variable}"));
        report.add_hint(origin, "api_key", format!("missing: {} wants a credential", vendor.title), hint);
    }
    found
}

fn check_credential_name<'a>(
    name: &str,
    mut before: impl Iterator<Item = &'a str>,
    origin: &Origin,
    field: &str,
    report: &mut Report,
) {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 63 || !name.bytes().all(valid) {
        report.add(origin, field, "not a name: 1 to 63 letters, digits, dots, dashes or underscores");
    } else if before.any(|other| other == name) {
        report.add(origin, field, "another credential of the provider has this name");
    }
}

/// Checks a credential. Space around it, such as the line break at the end of a mounted file, is cut off.
fn credential(
    value: &Secret,
    weight: u32,
    origin: &Origin,
    field: &str,
    report: &mut Report,
    found: &mut Vec<Credential>,
) {
    match readable(value) {
        Ok(text) => found.push(Credential { value: Secret::new(text), weight }),
        Err("empty") => report.add_hint(origin, field, "empty", Some("leave it out to have none".to_owned())),
        Err(message) => report.add(origin, field, message),
    }
}

/// Returns a credential as it goes into a header.
///
/// # Errors
/// What is wrong with it.
pub(super) fn readable(value: &Secret) -> Result<&str, &'static str> {
    let text = value.expose().trim();
    if text.is_empty() {
        Err("empty")
    } else if text.len() > 16 << 10 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("it holds a space, a line break or a character that is not ASCII")
    } else {
        Ok(text)
    }
}

fn headers(spec: &ProviderSpec, origin: &Origin, report: &mut Report) -> Vec<(HeaderName, String)> {
    let mut found: Vec<(HeaderName, String)> = Vec::with_capacity(spec.headers.len());
    for (name, value) in &spec.headers {
        let field = format!("headers.{name}");
        let value = value.expose().trim();
        if let Err(message) = header::check_value(value) {
            report.add(origin, &field, message);
        }
        match header::compile_name(name) {
            Ok(name) if found.iter().any(|(other, _)| *other == name) => {
                report.add(origin, &field, "the same header twice");
            }
            Ok(name) => found.push((name, value.to_owned())),
            Err(message) => {
                let hint = "use api_key for a credential, and leave framing to the gateway".to_owned();
                report.add_hint(origin, &field, message, Some(hint));
            }
        }
    }
    found
}

/// Deadlines lie between a millisecond and a day.
fn timeouts(spec: &ProviderSpec, origin: &Origin, report: &mut Report) -> Timeouts {
    let mut check = |field: &str, written: Option<u64>, usual: Duration| match written {
        None => usual,
        Some(ms @ 1..=86_400_000) => Duration::from_millis(ms),
        Some(_) => {
            report.add(origin, field, "not between 1 and 86400000 milliseconds (24 hours)");
            usual
        }
    };
    let usual = Timeouts::default();
    Timeouts {
        connect: check("connect_timeout_ms", spec.connect_timeout_ms, usual.connect),
        first_token: check("first_token_timeout_ms", spec.first_token_timeout_ms, usual.first_token),
        idle: check("idle_timeout_ms", spec.idle_timeout_ms, usual.idle),
        total: check("timeout_ms", spec.timeout_ms, usual.total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&str, &str>) {
        let found = check_url(text);
        assert_eq!(found.as_ref().map(Url::as_str).map_err(|error| error.0), expect, "{text}");
    }

    #[test]
    fn reads_addresses() {
        check("https://api.example.com/v1/", Ok("https://api.example.com/v1"));
        check("http://127.0.0.1:9", Ok("http://127.0.0.1:9/"));
        check("api.example.com", Err("not a URL"));
        check("ftp://example.com", Err("not an http or https URL"));
        check("file:///etc/passwd", Err("not an http or https URL"));
        check("https://user:pw@example.com", Err("a URL may not hold credentials"));
        check("https://example.com/v1?key=1", Err("a base URL has no query and no fragment"));
        check("https://example.com/v1/chat/completions", Err("a base URL ends before /chat/completions"));
    }
}
