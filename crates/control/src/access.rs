//! Who may do what: the one table of roles and permissions. What it does not allow is refused.
//!
//! It decides whether somebody may do a kind of thing at all. Whether they may do it to *this* resource (a developer to
//! the key of another) is decided where the resource is known: [`crate::plane`].

use serde::{Deserialize, Serialize};

use crate::actor::Role;

/// A kind of thing that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// What anybody may do, without signing in.
    Open,
    /// What anybody may do who has signed in, about themselves.
    SignedIn,
    /// Read how the installation is doing.
    ReadStatus,
    /// Read environments, models, the catalogue and fallback policies.
    ReadModels,
    /// Read providers, guardrails and prompts.
    ReadConfiguration,
    /// Change everything that is configured, people and keys apart.
    WriteConfiguration,
    /// Read keys; those that the actor may see.
    ReadKeys,
    /// Create and change keys; those that the actor may see.
    WriteKeys,
    /// Change what limits keys: raise and remove limits, choose plans, prolong lives; those keys that the actor manages.
    WriteLimits,
    /// Read teams; those that the actor may see.
    ReadTeams,
    /// Create and delete teams.
    WriteTeams,
    /// Change teams: who belongs to them; those that the actor administers.
    ManageTeams,
    /// Read alerts; those that the actor may see.
    ReadAlerts,
    /// Create, change and delete alerts; those about teams that the actor administers.
    WriteAlerts,
    /// Read the request log, without content; those requests that the actor may see.
    ReadRequests,
    /// Read what was asked and answered in the requests that the actor may see.
    ReadContent,
    /// Read usage and savings; those that the actor may see.
    ReadUsage,
    /// Read balances, the ledger and statements.
    ReadBilling,
    /// Post credits.
    PostCredits,
    /// Read the audit log.
    ReadAudit,
    /// Read the settings of the process.
    ReadSettings,
    /// Read who the people are.
    ReadPeople,
    /// Invite and change people; whose rank is lower, unless the actor is an owner.
    WritePeople,
}

use Permission as May;
use Role::{Auditor, Developer, Operator, Owner, TeamAdmin, Viewer};

const EVERYBODY: &[Role] = &[Viewer, Auditor, Developer, TeamAdmin, Operator, Owner];

/// Which roles have a permission. It is written as a match, so that a new permission does not compile without a row.
const fn roles(permission: Permission) -> &'static [Role] {
    match permission {
        May::Open | May::SignedIn | May::ReadStatus | May::ReadModels => EVERYBODY,
        May::ReadKeys | May::ReadTeams | May::ReadRequests | May::ReadUsage => EVERYBODY,
        May::ReadConfiguration => &[Viewer, Auditor, Operator, Owner],
        May::WriteConfiguration | May::WriteTeams | May::ReadSettings | May::WritePeople => &[Operator, Owner],
        May::WriteKeys => &[Developer, TeamAdmin, Operator, Owner],
        May::WriteLimits | May::ManageTeams | May::WriteAlerts => &[TeamAdmin, Operator, Owner],
        May::ReadAlerts => &[Viewer, Auditor, TeamAdmin, Operator, Owner],
        May::ReadContent => &[Auditor, Developer, TeamAdmin, Operator, Owner],
        May::ReadAudit | May::ReadBilling => &[Auditor, Operator, Owner],
        May::PostCredits => &[Owner],
        May::ReadPeople => &[Auditor, TeamAdmin, Operator, Owner],
    }
}

impl Permission {
    /// Every permission, in the order of the documents.
    pub const ALL: [Self; 23] = [
        Self::Open,
        Self::SignedIn,
        Self::ReadStatus,
        Self::ReadModels,
        Self::ReadConfiguration,
        Self::WriteConfiguration,
        Self::ReadKeys,
        Self::WriteKeys,
        Self::WriteLimits,
        Self::ReadTeams,
        Self::WriteTeams,
        Self::ManageTeams,
        Self::ReadAlerts,
        Self::WriteAlerts,
        Self::ReadRequests,
        Self::ReadContent,
        Self::ReadUsage,
        Self::ReadBilling,
        Self::PostCredits,
        Self::ReadAudit,
        Self::ReadSettings,
        Self::ReadPeople,
        Self::WritePeople,
    ];

    /// Returns its name in documents and in `GET /admin/v1/me`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::SignedIn => "signed_in",
            Self::ReadStatus => "read_status",
            Self::ReadModels => "read_models",
            Self::ReadConfiguration => "read_configuration",
            Self::WriteConfiguration => "write_configuration",
            Self::ReadKeys => "read_keys",
            Self::WriteKeys => "write_keys",
            Self::WriteLimits => "write_limits",
            Self::ReadTeams => "read_teams",
            Self::WriteTeams => "write_teams",
            Self::ManageTeams => "manage_teams",
            Self::ReadAlerts => "read_alerts",
            Self::WriteAlerts => "write_alerts",
            Self::ReadRequests => "read_requests",
            Self::ReadContent => "read_content",
            Self::ReadUsage => "read_usage",
            Self::ReadBilling => "read_billing",
            Self::PostCredits => "post_credits",
            Self::ReadAudit => "read_audit",
            Self::ReadSettings => "read_settings",
            Self::ReadPeople => "read_people",
            Self::WritePeople => "write_people",
        }
    }

    /// Returns the roles that have it, lowest first.
    pub const fn roles(self) -> &'static [Role] {
        roles(self)
    }
}

impl Role {
    /// Every role, in the order of the documents.
    pub const ALL: [Self; 6] = [Viewer, Auditor, Developer, TeamAdmin, Operator, Owner];

    /// Returns whether somebody with this role has a permission.
    pub fn may(self, permission: Permission) -> bool {
        roles(permission).contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix of the specification, written down a second time: V A D T O W.
    #[test]
    fn the_table_is_the_specifications() {
        let expected = [
            (May::Open, "VADTOW"),
            (May::SignedIn, "VADTOW"),
            (May::ReadStatus, "VADTOW"),
            (May::ReadModels, "VADTOW"),
            (May::ReadConfiguration, "VA..OW"),
            (May::WriteConfiguration, "....OW"),
            (May::ReadKeys, "VADTOW"),
            (May::WriteKeys, "..DTOW"),
            (May::WriteLimits, "...TOW"),
            (May::ReadTeams, "VADTOW"),
            (May::WriteTeams, "....OW"),
            (May::ManageTeams, "...TOW"),
            (May::ReadAlerts, "VA.TOW"),
            (May::WriteAlerts, "...TOW"),
            (May::ReadRequests, "VADTOW"),
            (May::ReadContent, ".ADTOW"),
            (May::ReadUsage, "VADTOW"),
            (May::ReadBilling, ".A..OW"),
            (May::PostCredits, ".....W"),
            (May::ReadAudit, ".A..OW"),
            (May::ReadSettings, "....OW"),
            (May::ReadPeople, ".A.TOW"),
            (May::WritePeople, "....OW"),
        ];
        assert_eq!(expected.map(|(permission, _)| permission), Permission::ALL, "each once, in order");
        for (permission, row) in expected {
            for (letter, role) in row.chars().zip(Role::ALL) {
                assert_eq!(role.may(permission), letter != '.', "{permission:?} {role:?}");
            }
        }
    }

    #[test]
    fn who_may_only_read_changes_nothing() {
        for permission in Permission::ALL.into_iter().filter(|permission| permission.name().starts_with("write")) {
            assert!(!Viewer.may(permission) && !Auditor.may(permission), "{permission:?}");
            assert!(Owner.may(permission) && Operator.may(permission), "{permission:?}");
        }
    }

    #[test]
    fn names_are_those_that_serde_writes() {
        for permission in Permission::ALL {
            assert_eq!(serde_json::to_value(permission).unwrap(), permission.name());
        }
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
    }
}
