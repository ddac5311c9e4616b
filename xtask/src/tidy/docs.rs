//! The rule for Markdown: a link to a file of the project leads to a file.

use std::path::Path;

use super::Problem;

/// Checks the links of a document.
pub fn check(root: &Path, file: &str, text: &str) -> Vec<Problem> {
    let folder = root.join(file).parent().map(Path::to_path_buf).unwrap_or_default();
    let broken = links(text).into_iter().filter(|(_, target)| {
        let base = if target.starts_with('/') { root } else { &folder };
        !base.join(target.trim_start_matches('/')).exists()
    });
    broken.map(|(line, target)| Problem::new(file, line, format!("leads nowhere: {target}"))).collect()
}

/// The targets of `[text](target)` that are files, without their anchors. Code is no text.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            let in_code = line[..at].matches('`').count() % 2 == 1;
            if !in_code && !target.is_empty() && !target.contains(':') {
                found.push((index + 1, target));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found_and_others_are_not() {
        let text =
            "[a](docs/x.md#part) [b](https://example.com) [c](#here)\n```\n[d](y.md)\n```\n`[e](z.md)` [f](../q.md)\n";
        assert_eq!(links(text), [(1, "docs/x.md"), (5, "../q.md")]);
    }

    #[test]
    fn a_link_leads_to_a_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(check(root, "src/a.md", "[x](main.rs) [y](/Cargo.toml) [z](tidy)"), []);
        assert_eq!(check(root, "src/a.md", "[x](gone.rs)").len(), 1);
    }
}
