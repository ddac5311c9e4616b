//! Events, and who is told of them: webhooks and alerts as they were checked.

use std::sync::Arc;

use crate::secret::Secret;

/// The types of events, in the order of the documents.
pub const EVENT_TYPES: [&str; 21] = [
    USAGE_THRESHOLD,
    BUDGET_ALERT,
    BUDGET_EXCEEDED,
    CREDITS_LOW,
    CREDITS_EXHAUSTED,
    ACCOUNT_SUSPENDED,
    ACCOUNT_RESUMED,
    "billing.topup",
    "billing.charged",
    BILLING_CLOSED,
    "key.created",
    "key.updated",
    "key.rotated",
    "key.revoked",
    "key.expired",
    "key.deleted",
    REQUEST_COMPLETED,
    REQUEST_FAILED,
    "provider.down",
    "provider.up",
    WEBHOOK_TEST,
];

/// A share of a limit was used.
pub const USAGE_THRESHOLD: &str = "usage.threshold";
/// A share of a budget was spent.
pub const BUDGET_ALERT: &str = "budget.alert";
/// A budget was spent, or a request was refused because of it.
pub const BUDGET_EXCEEDED: &str = "budget.exceeded";
/// Few prepaid credits are left.
pub const CREDITS_LOW: &str = "credits.low";
/// The account was suspended: no request is served.
pub const ACCOUNT_SUSPENDED: &str = "account.suspended";
/// The account is not suspended any more.
pub const ACCOUNT_RESUMED: &str = "account.resumed";
/// Nothing is left of prepaid credits.
pub const CREDITS_EXHAUSTED: &str = "credits.exhausted";
/// A month is over, and its statement stays as it is.
pub const BILLING_CLOSED: &str = "billing.closed";
/// A request was answered.
pub const REQUEST_COMPLETED: &str = "request.completed";
/// A request ended otherwise.
pub const REQUEST_FAILED: &str = "request.failed";
/// Somebody tries a webhook out.
pub const WEBHOOK_TEST: &str = "webhook.test";

/// Somebody tries an alert out. Nobody subscribes to it: it is sent to the addresses of that alert.
pub const ALERT_TEST: &str = "alert.test";

/// The shares at which limits that are budgets or quotas tell of themselves, in percent.
pub const THRESHOLDS: [u8; 3] = [70, 90, 100];

/// Which types of events are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// All.
    All,
    /// Those that begin so, the dot included.
    Prefix(Box<str>),
    /// This one.
    Exactly(Box<str>),
}

impl Pattern {
    /// Reads a pattern; `None` when no type of event is meant by it.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let pattern = match text.strip_suffix('*') {
            Some(prefix) if prefix.ends_with('.') => Self::Prefix(prefix.into()),
            Some(_) => return None,
            None => Self::Exactly(text.into()),
        };
        EVENT_TYPES.iter().any(|known| pattern.matches(known)).then_some(pattern)
    }

    /// Returns whether a type is meant.
    pub fn matches(&self, event: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => event.starts_with(&**prefix),
            Self::Exactly(name) => event == &**name,
        }
    }
}

/// An address that events are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: Arc<str>,
    /// Where events are sent.
    pub url: Box<str>,
    /// Which events.
    pub events: Vec<Pattern>,
    /// What deliveries are signed with.
    pub secret: Secret,
    /// The secret before, and until when it is used, Unix milliseconds.
    pub previous: Option<(Secret, u64)>,
    /// The header of the signature.
    pub signature_header: Box<str>,
    /// Headers added to every delivery.
    pub headers: Vec<(Box<str>, Secret)>,
    /// Whether events are sent.
    pub enabled: bool,
}

impl Webhook {
    /// Returns whether it subscribes to a type of events.
    pub fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|pattern| pattern.matches(event))
    }
}

/// Who is told of which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alert {
    /// Its name.
    pub name: Arc<str>,
    /// Which events; `None` for those of limits and credits.
    pub events: Option<Vec<Pattern>>,
    /// Of limits only these; a `*` at the end stands for the rest of a name.
    pub limits: Option<Vec<Box<str>>>,
    /// Only what concerns these keys, by their names.
    pub keys: Option<Vec<Box<str>>>,
    /// Only what concerns these teams or a key of theirs.
    pub teams: Option<Vec<Box<str>>>,
    /// At which shares of a limit, in percent; the limit's own by default.
    pub thresholds: Option<Vec<u8>>,
    /// Who gets an email.
    pub emails: Vec<Box<str>>,
    /// Which webhooks get the event.
    pub webhooks: Vec<Arc<str>>,
}

/// What an event is about, as far as alerts look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About<'a> {
    /// The type of the event.
    pub event: &'a str,
    /// The limit.
    pub limit: Option<&'a str>,
    /// The share that was reached, in percent, and whether the limit itself names it.
    pub threshold: Option<(u8, bool)>,
    /// Whether the limit is a budget in dollars.
    pub budget: bool,
    /// The key, by its name.
    pub key: Option<&'a str>,
    /// The team, or the key's team.
    pub team: Option<&'a str>,
}

impl Alert {
    /// Returns whether an event is one of those.
    pub fn wants(&self, about: &About<'_>) -> bool {
        let typed = match &self.events {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(about.event)),
            // A budget tells of itself under a type of its own: one message is enough.
            None if about.event == USAGE_THRESHOLD => !about.budget,
            None => matches!(about.event, BUDGET_ALERT | BUDGET_EXCEEDED | CREDITS_LOW | CREDITS_EXHAUSTED),
        };
        let among = |wanted: &Option<Vec<Box<str>>>, is: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| is.is_some_and(|is| wanted.iter().any(|one| **one == *is)))
        };
        let at = match (&self.thresholds, about.threshold) {
            (_, None) => true,
            (Some(wanted), Some((threshold, _))) => wanted.contains(&threshold),
            (None, Some((_, own))) => own,
        };
        typed
            && at
            && self.is_about_limit(about.limit)
            && among(&self.keys, about.key)
            && among(&self.teams, about.team)
    }

    /// Returns whether a limit is one of those that it is about. What is about no limit is not kept out by a list of them.
    pub fn is_about_limit(&self, limit: Option<&str>) -> bool {
        let (Some(wanted), Some(limit)) = (&self.limits, limit) else { return true };
        wanted.iter().any(|one| match one.strip_suffix('*') {
            Some(beginning) => limit.starts_with(beginning),
            None => **one == *limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_types() {
        let check = |text: &str, event: &str, expect: Option<bool>| {
            assert_eq!(Pattern::parse(text).map(|pattern| pattern.matches(event)), expect, "{text} {event}");
        };
        check("*", "key.created", Some(true));
        check("key.*", "key.created", Some(true));
        check("key.*", "request.completed", Some(false));
        check("key.created", "key.created", Some(true));
        check("key.created", "key.revoked", Some(false));
        for wrong in ["", "key", "key*", "kex.*", "key.create", "*.created", "key.**"] {
            check(wrong, "key.created", None);
        }
    }

    fn about(event: &str) -> About<'_> {
        let budget = event.starts_with("budget.");
        About { event, limit: Some("monthly"), threshold: Some((70, true)), budget, key: Some("a"), team: Some("t") }
    }

    #[test]
    fn an_alert_is_about_limits_and_credits() {
        let alert = Alert::default();
        assert!(alert.wants(&about(BUDGET_ALERT)) && alert.wants(&about(USAGE_THRESHOLD)));
        assert!(!alert.wants(&About { budget: true, ..about(USAGE_THRESHOLD) }), "a budget has one message");
        assert!(alert.wants(&about(CREDITS_LOW)) && alert.wants(&about(CREDITS_EXHAUSTED)));
        assert!(!alert.wants(&about("key.created")) && !alert.wants(&about(ACCOUNT_SUSPENDED)));
        let named = Alert { events: Some(vec![Pattern::All]), ..Alert::default() };
        assert!(named.wants(&about("key.created")) && named.wants(&About { budget: true, ..about(USAGE_THRESHOLD) }));
    }

    #[test]
    fn an_alert_is_narrowed() {
        let check = |alert: Alert, expect: bool| assert_eq!(alert.wants(&about(BUDGET_ALERT)), expect, "{alert:?}");
        let list = |name: &str| Some(vec![Box::from(name)]);
        check(Alert { limits: list("monthly"), ..Alert::default() }, true);
        check(Alert { limits: list("month*"), ..Alert::default() }, true);
        check(Alert { limits: list("month"), ..Alert::default() }, false);
        check(Alert { keys: list("a"), ..Alert::default() }, true);
        check(Alert { keys: list("b"), ..Alert::default() }, false);
        check(Alert { teams: list("t"), ..Alert::default() }, true);
        check(Alert { teams: list("u"), keys: list("a"), ..Alert::default() }, false);
        check(Alert { thresholds: Some(vec![70]), ..Alert::default() }, true);
        check(Alert { thresholds: Some(vec![50]), ..Alert::default() }, false);
        let of_an_alert = About { threshold: Some((50, false)), ..about(BUDGET_ALERT) };
        assert!(!Alert::default().wants(&of_an_alert), "a share that only another alert names");
        assert!(Alert { thresholds: Some(vec![50]), ..Alert::default() }.wants(&of_an_alert));
    }
}
