//! Who belongs to which teams, as the teams themselves say.

use serde_json::Value;

use super::Memberships;
use crate::actor::Actor;
use crate::plane::Plane;
use crate::resource::ListQuery;

/// Teams on one page.
const PAGE: usize = 200;

impl Memberships for Plane {
    fn teams_of(&self, email: &str) -> Vec<(String, String)> {
        let (everything, mut found) = (Actor::local(""), Vec::new());
        for environment in self.environments() {
            let mut query = ListQuery { limit: Some(PAGE), ..ListQuery::default() };
            // An environment that has just been deleted has no teams.
            while let Ok(page) = self.list(&everything, &environment, "teams", &query) {
                let members = page.data.iter().filter(|team| has_member(team.spec.get("members"), email));
                found.extend(members.map(|team| (environment.clone(), team.name.clone())));
                query.cursor = page.next_cursor;
                if query.cursor.is_none() {
                    break;
                }
            }
        }
        found
    }
}

fn has_member(members: Option<&Value>, email: &str) -> bool {
    let Some(Value::Array(members)) = members else { return false };
    members.iter().filter_map(Value::as_str).any(|member| member.trim().eq_ignore_ascii_case(email))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_compared_as_addresses() {
        let check = |members: Value, expect: bool| {
            assert_eq!(has_member(Some(&members), "ann@x.test"), expect, "{members}");
        };
        check(json!(["bob@x.test", "Ann@X.test "]), true);
        check(json!(["bob@x.test", "xann@x.test"]), false);
        check(json!("ann@x.test"), false);
        check(json!([1, null]), false);
        assert!(!has_member(None, "ann@x.test"));
    }
}
