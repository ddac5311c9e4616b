//! Who may manage whom.

use crate::actor::{Actor, Role};
use crate::refusal::Refusal;

/// Returns the role of a name.
pub fn parse(text: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.name() == text)
}

/// Returns the role of a stored person. A name that this version does not know has no more rights than the lowest.
pub fn stored(text: &str) -> Role {
    parse(text).unwrap_or(Role::Viewer)
}

/// Returns whether somebody may create, change, disable, delete or reset people of a role: owners everybody, operators
/// whoever is of lower rank, all others nobody.
pub fn may_manage(actor: Role, target: Role) -> bool {
    actor == Role::Owner || (actor == Role::Operator && target < Role::Operator)
}

/// Checks the above.
///
/// # Errors
/// [`Refusal::Forbidden`], with who could do it.
pub fn check(actor: &Actor, target: Role) -> Result<(), Refusal> {
    if may_manage(actor.role, target) {
        return Ok(());
    }
    let who = if target < Role::Operator { "an operator or an owner" } else { "an owner" };
    Err(Refusal::Forbidden(format!("people of the role {} are managed by {who}", target.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_manages_their_equals_but_owners() {
        // Rows act, columns are acted upon: viewer, auditor, developer, team admin, operator, owner.
        let expected = ["......", "......", "......", "......", "xxxx..", "xxxxxx"];
        for (actor, row) in Role::ALL.into_iter().zip(expected) {
            for (target, mark) in Role::ALL.into_iter().zip(row.chars()) {
                assert_eq!(may_manage(actor, target), mark == 'x', "{actor:?} {target:?}");
                let actor = Actor { role: actor, ..Actor::local("x") };
                assert_eq!(check(&actor, target).is_ok(), mark == 'x');
            }
        }
    }

    #[test]
    fn names_are_parsed_exactly() {
        for role in Role::ALL {
            assert_eq!(parse(role.name()), Some(role));
        }
        assert_eq!((parse("Owner"), parse("root"), stored("root")), (None, None, Role::Viewer));
    }
}
