//! Settings of an environment that are choices, not texts.

use ir::money::Margin;

/// What becomes of a parameter that the chosen provider cannot be told, and that the answer does not depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnsupportedParams {
    /// It is dropped, and named in a header of the reply.
    #[default]
    Drop,
    /// The request is refused, unless its caller allows dropping.
    Refuse,
}

/// Whether what is asked and answered is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogContent {
    /// It is not.
    #[default]
    Off,
    /// It is, with what looks like a secret or personal data replaced.
    Redacted,
    /// It is, as it was.
    Full,
}

/// How long is kept what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What was asked and answered, in days.
    pub content_days: u32,
    /// The request records, in days; never less than the content, which hangs on them.
    pub records_days: u32,
}

impl Default for Retention {
    /// 30 days; 396 days, which are at least 13 months.
    fn default() -> Self {
        Self { content_days: 30, records_days: 396 }
    }
}

/// When a second target is asked because the first is late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hedging {
    /// The policies whose requests may have a second one.
    pub policies: Vec<&'static str>,
    /// How many tokens second requests may have, in thousandths of those of all these requests; 0 for none.
    pub per_mille: u32,
}

impl Default for Hedging {
    /// `fastest`, and one token in twenty.
    fn default() -> Self {
        Self { policies: vec!["fastest"], per_mille: 50 }
    }
}

impl Hedging {
    /// Whether requests of a policy may have a second one.
    pub fn allows(&self, policy: &str) -> bool {
        self.per_mille > 0 && self.policies.contains(&policy)
    }
}

/// The environment's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// Whether usage is charged to it.
    pub enabled: bool,
    /// What is charged on top of the cost.
    pub margin: Margin,
    /// Whether it may be used.
    pub status: AccountStatus,
}

impl Billing {
    /// Returns the margin of what is charged; `None` where nothing is.
    pub fn charges(&self) -> Option<Margin> {
        self.enabled.then_some(self.margin)
    }
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountStatus {
    /// It may.
    #[default]
    Active,
    /// No request is served.
    Suspended,
}

impl AccountStatus {
    /// Returns the word that people write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}
