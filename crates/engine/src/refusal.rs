//! A refusal on its way to the caller.

pub mod render;

use std::net::IpAddr;

use ir::failure::{ErrorTypes, Failure};
use ir::id::RequestId;

use crate::capture::Capture;
use crate::gateway::Gateway;
use crate::limits::{self, Standing};
use crate::stage::authenticate::Identity;

/// What the caller is told instead of an answer. Behind the gate only a settled ticket yields one
/// ([`crate::ticket::Ticket::refuse`]), so that nothing that was admitted goes without its settlement.
#[derive(Debug)]
pub struct Refusal {
    /// The request.
    pub id: RequestId,
    /// Why; boxed, because refusals are rare and results are everywhere.
    pub failure: Box<Failure>,
    /// How many targets were tried.
    pub attempts: usize,
    /// Whether it passed the gate: then there is a settlement.
    pub admitted: bool,
    /// Whether the connection must not be used again: the request's body was not read to its end.
    pub close: bool,
    /// The words of the environment; `None` while it is not known.
    pub types: Option<ErrorTypes>,
    /// How the caller stands with its limits; `None` while it is not known, or when none is of requests or tokens.
    pub standing: Option<Box<Standing>>,
    /// The content of the request, where that is kept: what the caller is told belongs to it.
    pub capture: Option<Box<Capture>>,
}

impl Refusal {
    /// Refuses a request before the gate.
    pub fn early(id: RequestId, failure: Failure) -> Self {
        Self {
            id,
            failure: Box::new(failure),
            attempts: 0,
            admitted: false,
            close: false,
            types: None,
            standing: None,
            capture: None,
        }
    }

    /// Adds what is said to the caller whom it turned out to be.
    #[must_use]
    pub fn of(self, gateway: &Gateway, identity: &Identity, peer: IpAddr) -> Self {
        let Identity { key, configuration } = identity;
        let standing = self.standing.or_else(|| limits::standing(gateway, key, configuration, peer).map(Box::new));
        let types = configuration.snapshot.environment.error_types.clone();
        Self { types: Some(types), standing, ..self }
    }

    /// Adds the words of the environment.
    #[must_use]
    pub fn with_types(self, types: ErrorTypes) -> Self {
        Self { types: Some(types), ..self }
    }

    /// Refuses it, and closes the connection because its body was not read.
    pub fn closing(id: RequestId, failure: Failure) -> Self {
        Self { close: true, ..Self::early(id, failure) }
    }
}
