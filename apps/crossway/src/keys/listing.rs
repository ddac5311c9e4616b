//! Lists of keys.

use std::io::{Write as _, stdout};

use control::plane::Plane;
use control::resource::{ListQuery, Resource};

use super::{Format, KEYS, actor, explained, status};
use crate::cli::Failure;

/// How many keys are read at once.
const PAGE: usize = 200;

/// Prints the keys of an environment, or of all.
///
/// # Errors
/// When there is no such environment, or the database or the terminal fails.
pub fn list(plane: &Plane, environment: Option<String>, format: Format) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match format {
        Format::Text => {
            writeln!(out, "{:<12} {:<10} {:<12} {:<20} NAME", "PREFIX", "STATUS", "ENVIRONMENT", "CREATED")?;
            each(plane, environment, |key| {
                let (prefix, state) = (format!("{}…", status(key, "prefix")), status(key, "state"));
                let created = ir::civil::rfc3339(key.created_at_ms);
                let created = created.split_once('.').map_or(created.as_str(), |(seconds, _)| seconds);
                Ok(writeln!(
                    out,
                    "{prefix:<12} {state:<10} {:<12} {created:<20} {}",
                    key.environment,
                    ir::plain::one_line(&key.name)
                )?)
            })
        }
        Format::Json => {
            let mut before = "[\n";
            each(plane, environment, |key| {
                write!(out, "{before}{}", serde_json::to_string(key)?)?;
                before = ",\n";
                Ok(())
            })?;
            writeln!(out, "{}", if before == "[\n" { "[]" } else { "\n]" })?;
            Ok(())
        }
    }
}

fn each(
    plane: &Plane,
    environment: Option<String>,
    mut visit: impl FnMut(&Resource) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for environment in environment.map_or_else(|| plane.environments(), |one| vec![one]) {
        let mut query = ListQuery { limit: Some(PAGE), ..ListQuery::default() };
        loop {
            let page = plane.list(&actor(), &environment, KEYS, &query).map_err(explained)?;
            page.data.iter().try_for_each(&mut visit)?;
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    Ok(())
}
