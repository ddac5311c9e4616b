//! Whose requests somebody may see: those of the keys that they may see.

use control::actor::Actor;
use control::plane::Plane;
use control::resource::ListQuery;
use ir::id::ResourceId;

use crate::admin::problem::Problem;

/// The most pages of keys that are read: 20,000 keys of one person.
const PAGES: usize = 100;
const PAGE: usize = 200;

/// Returns the keys whose requests somebody may see; `None` for all. It blocks.
///
/// # Errors
/// What reading the keys brings, and 503 when there are too many of them.
pub(super) fn visible_keys(
    plane: &Plane,
    actor: &Actor,
    environment: &str,
) -> Result<Option<Vec<ResourceId>>, Problem> {
    if actor.sees_all() {
        return Ok(None);
    }
    let mut keys = Vec::new();
    let mut query = ListQuery { limit: Some(PAGE), ..ListQuery::default() };
    for _ in 0..PAGES {
        let page = plane.list(actor, environment, "keys", &query)?;
        keys.extend(page.data.iter().map(|key| key.id));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return Ok(Some(keys));
        }
    }
    Err(Problem::unavailable("there are too many keys to look through").hint("filter the keys by their team instead"))
}
