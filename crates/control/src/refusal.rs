//! Why something was not done. Every refusal says what to do about it.

use policy::problem::Problem;
use store::StoreError;

/// Why something was not done; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such environment, kind or resource, or the actor may not know of it.
    #[error("{0}")]
    NotFound(String),
    /// The actor may know of it but not do this.
    #[error("{0}")]
    Forbidden(String),
    /// It was changed since the caller read it.
    #[error("it was changed by somebody else: it has version {current} now")]
    Stale {
        /// Its version now.
        current: u64,
    },
    /// Another resource of the kind has the name.
    #[error("{0}")]
    NameTaken(String),
    /// Something refers to it, so that it cannot be deleted.
    #[error("{what} is used by {}", by.join(", "))]
    InUse {
        /// What was to be deleted.
        what: String,
        /// What refers to it, such as `model gpt-4o`; at most ten.
        by: Vec<String>,
    },
    /// The configuration file says it, so it is changed there.
    #[error("{what} comes from {source_file}: change it there")]
    ReadOnly {
        /// What was to be changed.
        what: String,
        /// The file and the line, or the environment variable.
        source_file: String,
    },
    /// It is not valid, or what would result is not.
    #[error("{}", summary(.0))]
    Invalid(Vec<Problem>),
    /// A parameter of the call itself is not valid.
    #[error("{message}")]
    BadParameter {
        /// Which one.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The state of the thing does not allow it, such as rotating a revoked key.
    #[error("{0}")]
    Conflict(String),
    /// The database cannot be used at the moment.
    #[error("the database cannot be used at the moment")]
    Unavailable(#[from] StoreError),
}

fn summary(problems: &[Problem]) -> String {
    match problems {
        [] => "not valid".to_owned(),
        [only] => only.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more problems)", first.message, rest.len()),
    }
}
