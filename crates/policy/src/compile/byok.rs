//! Credentials that people bring for their own keys.

use super::Report;
use super::key::MAX_DESCRIPTION;
use super::provider::readable;
use super::text::{check_line, check_prose};
use crate::problem::did_you_mean;
use crate::secret::Secret;
use crate::snapshot::{OwnCredential, Provider};
use crate::spec::byok::ByokSpec;
use crate::spec::{Entry, Specs};

/// The most keys that one credential lists.
const MAX_KEYS: usize = 1_000;

/// The most characters of an owner, and of a team.
const MAX_NAME: usize = 320;

/// Compiles the credentials of an environment. One whose provider is switched off waits for it.
pub(super) fn compile_own(specs: &Specs, providers: &[Provider], report: &mut Report) -> Vec<OwnCredential> {
    specs.byok.iter().filter_map(|entry| compile_one(entry, specs, providers, report)).collect()
}

fn compile_one(
    entry: &Entry<ByokSpec>,
    specs: &Specs,
    providers: &[Provider],
    report: &mut Report,
) -> Option<OwnCredential> {
    let Entry { name, spec, origin } = entry;
    check_prose(&spec.description, MAX_DESCRIPTION, origin, "description", report);
    for (field, text) in [("owner", &spec.owner), ("team", &spec.team)] {
        check_line(text.as_deref().unwrap_or_default(), MAX_NAME, origin, field, report);
    }
    let said = |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Box::from);
    let (owner, team) = (said(&spec.owner), said(&spec.team));
    let keys: Vec<Box<str>> = spec.keys.iter().flatten().map(|key| key.as_str().into()).collect();
    if keys.len() > MAX_KEYS {
        report.add(origin, "keys", format!("too many: at most {MAX_KEYS}"));
    }
    if owner.is_none() && team.is_none() && keys.is_empty() {
        let hint = "name an owner, a team or keys: it serves nobody else's".to_owned();
        report.add_hint(origin, "owner", "whose keys it serves is missing", Some(hint));
    }
    let value = credential(entry, report);
    let wanted = spec.provider.as_deref().unwrap_or_default().trim();
    let found = providers.iter().position(|provider| provider.name.eq_ignore_ascii_case(wanted));
    if found.is_none() {
        let names = || specs.providers.iter().map(|provider| provider.name.as_str());
        match (wanted.is_empty(), names().any(|name| name.eq_ignore_ascii_case(wanted))) {
            (true, _) => report.add(origin, "provider", "missing"),
            (false, true) => report.warn(origin, "provider", "the provider is switched off"),
            (false, false) => {
                let hint = did_you_mean(wanted, names());
                report.add_hint(origin, "provider", "no configured provider has this name", hint);
            }
        }
    }
    let provider = crate::snapshot::ProviderIndex(found?);
    let fallback_to_platform = spec.fallback_to_platform;
    let enabled = spec.enabled.unwrap_or(true);
    let own =
        OwnCredential { name: name.as_str().into(), provider, owner, team, keys, fallback_to_platform, value: value? };
    enabled.then_some(own)
}

fn credential(entry: &Entry<ByokSpec>, report: &mut Report) -> Option<Secret> {
    let Some(value) = &entry.spec.value else {
        report.add(&entry.origin, "value", "missing: the provider's credential");
        return None;
    };
    match readable(value) {
        Ok(text) => Some(Secret::new(text)),
        Err(message) => {
            report.add(&entry.origin, "value", message);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Origin;
    use crate::spec::provider::ProviderSpec;

    fn check(change: impl FnOnce(&mut ByokSpec), expect: &[&str]) {
        let mut spec = ByokSpec {
            provider: Some("openai".to_owned()),
            value: Some(Secret::new("sk-own")),
            owner: Some("ada".to_owned()),
            ..ByokSpec::default()
        };
        change(&mut spec);
        let origin = Origin::new("api", "byok.b");
        let providers = vec![Entry { name: "openai".to_owned(), spec: ProviderSpec::default(), ..Entry::default() }];
        let specs = Specs { providers, byok: vec![Entry { name: "b".to_owned(), spec, origin }], ..Specs::default() };
        let mut report = Report::default();
        compile_own(&specs, &[], &mut report);
        let found: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn what_is_missing_or_unreadable_is_said() {
        let off = "api: warning: byok.b.provider: the provider is switched off";
        check(|_| {}, &[off]);
        check(|spec| spec.provider = None, &["api: byok.b.provider: missing"]);
        check(
            |spec| spec.provider = Some("opnai".to_owned()),
            &["api: byok.b.provider: no configured provider has this name (did you mean openai?)"],
        );
        check(|spec| spec.value = None, &["api: byok.b.value: missing: the provider's credential", off]);
        for bad in ["a b", "a\r\nx-other: 1", "ü"] {
            let message = "api: byok.b.value: it holds a space, a line break or a character that is not ASCII";
            check(|spec| spec.value = Some(Secret::new(bad)), &[message, off]);
        }
        check(
            |spec| spec.owner = Some(" ".to_owned()),
            &[
                "api: byok.b.owner: whose keys it serves is missing (name an owner, a team or keys: it serves nobody \
                 else's)",
                off,
            ],
        );
    }
}
