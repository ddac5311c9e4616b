//! A key's spec on the command line.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use control::resource::Spec;
use policy::spec::environment::RetentionSpec;
use policy::spec::key::KeySpec;
use policy::spec::limit::LimitSpec;
use policy::spec::timestamp::Timestamp;
use serde_json::Value;

use super::limit::limit;
use crate::cli::Failure;

/// The longest grace time, as in the admin API: 30 days.
const MAX_GRACE_SECONDS: u64 = 30 * 86_400;

/// What is to be said about a new key.
#[derive(Args, Clone, Debug)]
pub struct SpecArgs {
    /// The team it belongs to
    #[arg(long)]
    team: Option<String>,
    /// What it is for
    #[arg(long, default_value = "")]
    description: String,
    /// Who answers for it, such as an email
    #[arg(long, default_value = "")]
    owner: String,
    /// A provider it may use; repeat for several, leave out for all
    #[arg(long = "provider")]
    providers: Vec<String>,
    /// A model it may use; repeat for several, leave out for all
    #[arg(long = "model")]
    models: Vec<String>,
    /// A label, NAME=VALUE; repeat for several
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A tag that its cost is booked under; repeat for several
    #[arg(long = "cost-tag", value_name = "TAG")]
    cost_tags: Vec<String>,
    /// A network it may be used from, such as 10.0.0.0/8; repeat for several, leave out for all
    #[arg(long = "allowed-network", value_name = "NETWORK")]
    allowed_networks: Vec<String>,
    /// A surface it may call, such as openai.chat; repeat for several, leave out for all
    #[arg(long = "surface")]
    surfaces: Vec<String>,
    /// The plan whose limits it gets
    #[arg(long)]
    plan: Option<String>,
    /// A limit of its own, METER=AMOUNT/WINDOW, such as usd=25/month, requests=100/60s or concurrency=4; repeat for several
    #[arg(long = "limit", value_name = "LIMIT", value_parser = limit)]
    limits: Vec<LimitSpec>,
    /// Whether what is asked and answered is kept: off, redacted or full
    #[arg(long, value_name = "MODE")]
    log_content: Option<String>,
    /// It manages keys over /api/v1 instead of asking models
    #[arg(long)]
    management: bool,
    /// For how many days what is asked and answered is kept
    #[arg(long, value_name = "DAYS")]
    content_days: Option<u32>,
    /// When it expires: 2027-01-31T00:00:00Z, or Unix seconds
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    expires_at: Option<Timestamp>,
}

impl SpecArgs {
    /// Returns the spec, without what was not said.
    ///
    /// # Errors
    /// When a label is named twice.
    pub fn spec(&self) -> Result<Spec, Failure> {
        let mut labels = BTreeMap::new();
        for (name, value) in &self.labels {
            if labels.insert(name.clone(), value.clone()).is_some() {
                return Err(format!("the label {name} is there twice").into());
            }
        }
        let spec = KeySpec {
            team: self.team.clone(),
            providers: self.providers.clone(),
            models: self.models.clone(),
            labels,
            cost_tags: self.cost_tags.clone(),
            expires_at: self.expires_at,
            enabled: true,
            log_content: self.log_content.clone(),
            description: self.description.clone(),
            owner: self.owner.clone(),
            allowed_networks: self.allowed_networks.clone(),
            surfaces: self.surfaces.clone(),
            plan: self.plan.clone(),
            limits: self.limits.clone(),
            management: self.management,
            retention: RetentionSpec { content_days: self.content_days, ..RetentionSpec::default() },
        };
        let (Value::Object(mut said), Value::Object(unsaid)) =
            (serde_json::to_value(spec)?, serde_json::to_value(KeySpec::default())?)
        else {
            return Err("a spec is an object".into());
        };
        said.retain(|name, value| unsaid.get(name) != Some(value));
        Ok(said)
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let written = text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from);
    let read = serde_json::from_value(written);
    read.map_err(|_| "write it as 2027-01-31T00:00:00Z, or as Unix seconds".to_owned())
}

/// Reads `90s`, `15m`, `24h` or `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("write it like 90s, 15m, 24h or 7d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write it like 90s, 15m, 24h or 7d".to_owned())?;
    let whole = number.checked_mul(seconds).filter(|seconds| *seconds <= MAX_GRACE_SECONDS);
    whole.map(Duration::from_secs).ok_or_else(|| "at most 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_a_name_and_a_value() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(label("a="), Ok(("a".to_owned(), String::new())));
        assert!(label("a").is_err() && label("=b").is_err());
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "7", "h", "1w", "-1s", "1.5h", "31d", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn instants_are_read_in_both_forms() {
        assert_eq!(instant("1801353600"), Ok(Timestamp(1_801_353_600)));
        assert_eq!(instant("2027-01-31T00:00:00Z"), Ok(Timestamp(1_801_353_600)));
        assert!(instant("tomorrow").is_err() && instant("99999999999999").is_err());
    }
}
