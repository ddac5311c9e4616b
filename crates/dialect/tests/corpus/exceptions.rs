//! What is not carried, with its reason: a list that may only shrink.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Reads a list: lines of `id reason`, `#` for comments.
fn read(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect()
}

/// Checks every case. A case that fails and is not listed fails the test, and so does one that is listed and does not
/// fail any more.
pub fn check<'a, T: 'a>(
    topic: &str,
    listed: &str,
    cases: impl IntoIterator<Item = (&'a str, T)>,
    mut check: impl FnMut(T) -> Result<(), String>,
) {
    let listed = read(listed);
    let (mut carried, mut excepted, mut complaints) = (0, 0, String::new());
    let mut seen = Vec::new();
    for (id, case) in cases {
        seen.push(id);
        match (check(case), listed.get(id)) {
            (Ok(()), None) => carried += 1,
            (Err(_), Some(_)) => excepted += 1,
            (Ok(()), Some(_)) => writeln!(complaints, "{id}: listed as an exception, and carried").unwrap(),
            (Err(said), None) => writeln!(complaints, "{id}: {said}").unwrap(),
        }
    }
    if !seen.is_empty() {
        for id in listed.keys().filter(|id| !seen.contains(id)) {
            writeln!(complaints, "{id}: listed as an exception, and not there").unwrap();
        }
    }
    println!("{topic}: {carried} carried, {excepted} exceptions");
    assert!(complaints.is_empty(), "{topic}:\n{complaints}");
}
