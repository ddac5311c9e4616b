//! Why a target is not tried.

use std::fmt;

use ir::failure::Code;

/// Why a target is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// It is switched off.
    Disabled,
    /// The key may not use the model.
    ModelNotAllowed,
    /// The key may not use the provider.
    ProviderNotAllowed,
    /// Its provider ignores the client's model, and serves its own.
    Forced,
    /// The request needs a capability that it is known not to have.
    Lacks(&'static str),
    /// The prompt does not fit into so many tokens.
    TooLong(u64),
    /// Its price is unknown, and price is what is asked for.
    PriceUnknown,
    /// Its quality is unknown, and others' is known.
    QualityUnknown,
    /// Its quality is below the bar.
    BelowBar(u32),
    /// Enough others are better.
    Behind,
    /// The own credential that it would be asked with serves other keys, or another provider.
    CredentialNotServing,
}

impl Exclusion {
    /// Whether it is the key's rights, or a switch, that leave it out: then the caller is told so.
    pub fn is_right(self) -> bool {
        matches!(self, Self::Disabled | Self::ModelNotAllowed | Self::ProviderNotAllowed)
    }

    /// Returns the code of a request that finds nothing else.
    pub fn code(self) -> Code {
        match self {
            Self::Disabled => Code::ModelDisabled,
            Self::ModelNotAllowed => Code::ModelNotAllowed,
            Self::ProviderNotAllowed => Code::ProviderNotAllowed,
            _ => Code::UpstreamUnavailable,
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled"),
            Self::ModelNotAllowed => f.write_str("not among the key's models"),
            Self::ProviderNotAllowed => f.write_str("not among the key's providers"),
            Self::Forced => f.write_str("its provider serves its default model only"),
            Self::Lacks(capability) => write!(f, "not known to have the capability `{capability}`"),
            Self::TooLong(window) => write!(f, "the prompt does not fit into {window} tokens"),
            Self::PriceUnknown => f.write_str("its price is unknown"),
            Self::QualityUnknown => f.write_str("its quality is unknown"),
            Self::BelowBar(bar) => write!(f, "its quality is below {bar}"),
            Self::Behind => f.write_str("enough others are better"),
            Self::CredentialNotServing => f.write_str("its own credential does not serve this key there"),
        }
    }
}
