//! Who acts: a person or a program, with a role.

use std::net::IpAddr;

use ir::id::ResourceId;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// What somebody may do. `control::access` holds the whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads the configuration and the usage; sees no content.
    Viewer,
    /// Reads everything that happened, and the audit log; changes nothing.
    Auditor,
    /// Owns keys, and sees what they did.
    Developer,
    /// A developer who also manages the keys of the teams they belong to.
    TeamAdmin,
    /// Runs the installation.
    Operator,
    /// An operator who also manages other operators.
    Owner,
}

impl Role {
    /// Returns its name, as documents say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Developer => "developer",
            Self::TeamAdmin => "team_admin",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

/// Who does something, as the audit log names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// A person's email, or `admin token`, `command line`, `configuration file`.
    pub name: String,
    /// The person, when it is one.
    pub user: Option<ResourceId>,
    /// What they may do.
    pub role: Role,
    /// The teams they belong to, by environment and name.
    pub teams: Vec<(String, String)>,
    /// Where the request came from.
    pub ip: Option<IpAddr>,
    /// The request, `req_…`; empty outside of one.
    pub request_id: String,
}

impl Actor {
    /// Returns somebody who acts on this machine, with every right.
    pub fn local(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            user: None,
            role: Role::Owner,
            teams: Vec::new(),
            ip: None,
            request_id: String::new(),
        }
    }

    /// Returns whether they see the resources of everybody.
    pub fn sees_all(&self) -> bool {
        !matches!(self.role, Role::Developer | Role::TeamAdmin)
    }

    /// Checks that they may change what everybody's requests depend on.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for everybody but operators and owners.
    pub(crate) fn check_may_configure(&self) -> Result<(), Refusal> {
        match self.role {
            Role::Operator | Role::Owner => Ok(()),
            role => Err(Refusal::Forbidden(format!("a {} may not change this: ask an operator", role.name()))),
        }
    }

    /// Checks that they may change keys at all.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for those who only look.
    pub(crate) fn check_may_change_keys(&self) -> Result<(), Refusal> {
        match self.role {
            Role::Viewer | Role::Auditor => {
                Err(Refusal::Forbidden(format!("a {} may not change keys: ask an operator", self.role.name())))
            }
            _ => Ok(()),
        }
    }
}
