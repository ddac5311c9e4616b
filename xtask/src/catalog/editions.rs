//! Names: what a vendor's name means with us, and which names are editions of another.

use catalog::model::fold_name;

/// Returns our slug for a vendor's name: its last part, in lower case.
pub fn slug_of(vendor: &str, name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    if vendor == "fireworks" { dotted(&last) } else { last }
}

/// Fireworks writes `glm-4p7` for GLM 4.7.
fn dotted(name: &str) -> String {
    let bytes = name.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let letter = |(at, c): (usize, char)| {
        if c == 'p' && digit(at.checked_sub(1)) && digit(Some(at + 1)) { '.' } else { c }
    };
    name.char_indices().map(letter).collect()
}

/// Returns the slug that a slug is an edition of: the same without a date, a number of an edition, `preview` or
/// `latest` at its end.
pub fn parent(slug: &str, exists: impl Fn(&str) -> bool) -> Option<String> {
    let mut cuts: Vec<usize> = slug.match_indices('-').map(|(at, _)| at).collect();
    cuts.reverse();
    for cut in cuts {
        let (stem, tail) = slug.split_at(cut);
        if !is_edition(tail.get(1..).unwrap_or_default()) {
            continue;
        }
        let latest = format!("{stem}-latest");
        if let Some(found) = [stem.to_owned(), latest].into_iter().find(|name| name != slug && exists(&fold_name(name)))
        {
            return Some(found);
        }
    }
    None
}

/// Returns whether the end of a name marks an edition rather than another model.
pub fn is_edition(tail: &str) -> bool {
    let mut digits = 0;
    for part in tail.split('-') {
        let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match part {
            "latest" | "preview" | "exp" | "beta" => digits += 3,
            _ if number && part.len() >= 2 => digits += part.len(),
            _ => return false,
        }
    }
    digits >= 3
}

/// Returns the date at the end of a name: `2024-08-06` or `20250514`.
pub fn date_of(slug: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let written = |year: &str, month: &str, day: &str| {
        let valid = digits(year) && digits(month) && digits(day) && year.starts_with("20");
        (valid && ("01"..="12").contains(&month) && ("01"..="31").contains(&day))
            .then(|| format!("{year}-{month}-{day}"))
    };
    let tail = |length: usize| slug.len().checked_sub(length).and_then(|at| slug.get(at..));
    if let Some((year, rest)) = tail(10).and_then(|date| date.split_once('-')) {
        let (month, day) = rest.split_once('-').unwrap_or_default();
        if let Some(date) = written(year, month, day).filter(|_| year.len() == 4 && month.len() == 2) {
            return Some(date);
        }
    }
    let date = tail(9)?.strip_prefix('-')?;
    written(date.get(..4)?, date.get(4..6)?, date.get(6..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_names_become_slugs() {
        let check = |vendor, name, expect: &str| assert_eq!(slug_of(vendor, name), expect);
        check("openai", "gpt-4o", "gpt-4o");
        check("together", "zai-org/GLM-5.3", "glm-5.3");
        check("fireworks", "accounts/fireworks/models/deepseek-v3p2", "deepseek-v3.2");
        check("fireworks", "accounts/fireworks/models/gpt-oss-120b", "gpt-oss-120b");
        check("cloudflare", "@cf/openai/gpt-oss-120b", "gpt-oss-120b");
    }

    #[test]
    fn editions_know_their_parents() {
        let known = ["gpt-4o", "gpt-4", "claude-opus-4", "claude-opus-4-5", "gemini-2-5-flash", "mistral-large-latest"];
        let check = |slug: &str, expect: Option<&str>| {
            assert_eq!(parent(slug, |name| known.contains(&name)).as_deref(), expect, "{slug}");
        };
        check("gpt-4o-2024-08-06", Some("gpt-4o"));
        check("gpt-4-0613", Some("gpt-4"));
        check("claude-opus-4-5-20251101", Some("claude-opus-4-5"));
        check("claude-opus-4-5", None);
        check("gemini-2.5-flash-preview-09-2025", Some("gemini-2.5-flash"));
        check("gemini-2.5-flash-lite", None);
        check("mistral-large-2512", Some("mistral-large-latest"));
        check("mistral-large-latest", None);
        check("gpt-4o-mini", None);
    }

    #[test]
    fn dates_are_read_from_names() {
        let check = |slug: &str, expect: Option<&str>| assert_eq!(date_of(slug).as_deref(), expect, "{slug}");
        check("gpt-4o-2024-08-06", Some("2024-08-06"));
        check("claude-sonnet-4-20250514", Some("2025-05-14"));
        check("command-r-plus-08-2024", None);
        check("gpt-4-0613", None);
        check("x", None);
    }
}
