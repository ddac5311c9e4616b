//! Who acts: a person or a program, with a role.

use std::net::IpAddr;

use ir::id::ResourceId;
use serde::{Deserialize, Serialize};

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
}
