//! Events and who is told of them: what is sent, to whom, signed how, tried again when.
//!
//! Sources say what happened ([`source`]), a spool on disk keeps it ([`store::events`]), the [`pump`] delivers it. None of
//! it is asked for by a request: a receiver that stalls, fails or lies delays nobody else, and takes no memory.

pub mod counts;
pub mod mail;
pub mod post;
pub mod pump;
mod schedule;
mod sign;
pub mod source;

use std::collections::BTreeMap;
use std::sync::Arc;

use ir::id::EventId;
use policy::notify::{About, Alert, Webhook};
use serde_json::{Map, Value, json};
use store::events::{Channel, Lane, NewEvent};

/// Who wants to be told, by environment.
pub type Audiences = BTreeMap<Arc<str>, Audience>;

/// Who wants to be told what happens in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Its webhooks.
    pub webhooks: Vec<Arc<Webhook>>,
    /// Its alerts.
    pub alerts: Vec<Arc<Alert>>,
}

impl Audience {
    /// Returns whether there is anybody.
    pub fn is_empty(&self) -> bool {
        self.webhooks.is_empty() && self.alerts.is_empty()
    }

    /// Returns whether anybody is told of events of a type, whatever they are about.
    pub fn wants(&self, kind: &str) -> bool {
        let named = |alert: &Alert| alert.events.as_ref().is_some_and(|all| all.iter().any(|one| one.matches(kind)));
        self.webhooks.iter().any(|hook| hook.enabled && hook.wants(kind))
            || self.alerts.iter().any(|alert| named(alert))
    }

    /// Returns the webhook of a name.
    pub fn webhook(&self, name: &str) -> Option<&Arc<Webhook>> {
        self.webhooks.iter().find(|hook| *hook.name == *name)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// In which environment.
    pub environment: Arc<str>,
    /// Its type.
    pub kind: &'static str,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// What is told of it.
    pub data: Map<String, Value>,
    /// The limit that it is about.
    pub limit: Option<Arc<str>>,
    /// The share of that limit, in percent, and whether the limit itself names it.
    pub threshold: Option<(u8, bool)>,
    /// Whether the limit is a budget in dollars.
    pub budget: bool,
    /// The name of the key that it is about.
    pub key: Option<String>,
    /// The team that it is about, or the key's team.
    pub team: Option<String>,
}

impl Happened {
    /// Returns something that is about no limit, key or team.
    pub fn new(environment: Arc<str>, kind: &'static str, at_ms: u64, data: Map<String, Value>) -> Self {
        let (limit, threshold, budget, key, team) = (None, None, false, None, None);
        Self { environment, kind, at_ms, data, limit, threshold, budget, key, team }
    }

    fn about(&self) -> About<'_> {
        About {
            event: self.kind,
            limit: self.limit.as_deref(),
            threshold: self.threshold,
            budget: self.budget,
            key: self.key.as_deref(),
            team: self.team.as_deref(),
        }
    }

    /// Returns the event for those who want it; `None` when nobody does. A webhook that subscribes and is named by an alert
    /// too gets it once.
    pub fn addressed(self, audience: &Audience) -> Option<NewEvent> {
        let about = self.about();
        // A share that only an alert names is told to that alert's receivers.
        let subscribed = about.threshold.is_none_or(|(_, own)| own);
        let mut names: Vec<&str> = Vec::new();
        let mut emails: Vec<(&str, &str)> = Vec::new();
        let wanting = audience.webhooks.iter().filter(|hook| subscribed && hook.wants(self.kind));
        names.extend(wanting.map(|hook| &*hook.name));
        for alert in audience.alerts.iter().filter(|alert| alert.wants(&about)) {
            names.extend(alert.webhooks.iter().map(|name| &**name));
            emails.extend(alert.emails.iter().map(|email| (&*alert.name, &**email)));
        }
        names.retain(|name| audience.webhook(name).is_some_and(|hook| hook.enabled));
        names.sort_unstable();
        names.dedup();
        // Somebody whom two alerts name is told once.
        emails.sort_by_key(|(_, email)| *email);
        emails.dedup_by_key(|(_, email)| *email);
        let lane = |channel: Channel, name: &str, address: &str| {
            let environment = self.environment.as_ref().to_owned();
            Lane { environment, channel, name: name.to_owned(), address: address.to_owned() }
        };
        let to: Vec<Lane> = names
            .iter()
            .map(|name| lane(Channel::Webhook, name, ""))
            .chain(emails.iter().map(|(alert, email)| lane(Channel::Email, alert, email)))
            .collect();
        if to.is_empty() {
            return None;
        }
        let id = EventId::new(self.at_ms);
        let body = envelope(id, self.kind, self.at_ms, &self.data);
        Some(NewEvent { id, kind: self.kind.to_owned(), created_ms: self.at_ms, body, to })
    }
}

/// Returns what is sent: the same bytes at every try.
pub fn envelope(id: EventId, kind: &str, at_ms: u64, data: &Map<String, Value>) -> String {
    json!({ "id": id.to_string(), "type": kind, "created": at_ms / 1_000, "data": data }).to_string()
}

#[cfg(test)]
mod tests;
