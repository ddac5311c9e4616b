//! Who acts: a person or a program, with a role.

use std::net::IpAddr;

use ir::id::ResourceId;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// Returns how a management key is called that nobody answers for.
fn managing(key: &str) -> String {
    format!("management key `{key}`")
}

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
    /// The management key that they act through.
    pub through: Option<Through>,
}

/// A management key through which somebody acts. It reaches other keys and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// Its name.
    pub key: String,
    /// Its team: then it reaches the keys of that team alone.
    pub team: Option<String>,
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
            through: None,
        }
    }

    /// Returns who acts through a management key. One that somebody answers for reaches what that person owns, one of a
    /// team what belongs to the team, and both, of one that has both; one that has neither reaches every key of its
    /// environment.
    pub fn through(environment: &str, key: &str, team: Option<&str>, owner: &str) -> Self {
        let (role, name) = match team {
            _ if !owner.is_empty() => (Role::Developer, owner.to_owned()),
            Some(_) => (Role::TeamAdmin, managing(key)),
            None => (Role::Operator, managing(key)),
        };
        let teams = team.map(|team| (environment.to_owned(), team.to_owned())).into_iter().collect();
        let through = Some(Through { key: key.to_owned(), team: team.map(str::to_owned) });
        Self { role, teams, through, ..Self::local(&name) }
    }

    /// Returns how the audit log names them.
    pub fn noted(&self) -> String {
        match &self.through {
            Some(through) if self.role == Role::Developer => format!("{} ({})", self.name, managing(&through.key)),
            _ => self.name.clone(),
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
