//! People of a test: `authorization: Test ROLE NAME TEAM…` is whoever it says, for tests of what a role may do. The teams
//! are those of the environment `default`.

use control::actor::{Actor, Role};
use server::admin::principal::{Authenticator, Identity, Knock, Later};
use server::admin::problem::Problem;

/// Believes what it is told.
pub struct People;

impl Authenticator for People {
    fn authenticate<'a>(&'a self, knock: Knock<'a>) -> Later<'a, Result<Option<Identity>, Problem>> {
        let given = knock.headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Test "));
        Box::pin(async move { Ok(given.and_then(identity)) })
    }
}

fn identity(given: &str) -> Option<Identity> {
    let mut words = given.split(' ');
    let role = words.next()?;
    let role = Role::ALL.into_iter().find(|known| known.name() == role)?;
    let name = words.next().unwrap_or(role.name()).to_owned();
    let teams = words.map(|team| ("default".to_owned(), team.to_owned())).collect();
    let actor = Actor { name, role, teams, ..Actor::local("test") };
    Some(Identity { actor, session: None })
}
