//! The rules for every text file: nothing that is only true on one machine.

use super::Problem;

/// First segments of absolute paths that belong to somebody's machine.
const MACHINE: [&str; 6] = ["root", "home", "Users", "work", "farm", "mnt"];

/// Paths that are part of the product: where container images look for configuration.
const PRODUCT: [&str; 1] = ["/home/ballerina/"];

/// Checks a text file.
pub fn check(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(path) = machine_path(line) {
            problems.push(Problem::new(file, index + 1, format!("a path of one machine: {path}")));
        }
        if let Some(what) = registry(file, line) {
            problems.push(Problem::new(file, index + 1, what));
        }
    }
    problems
}

fn machine_path(line: &str) -> Option<&str> {
    MACHINE.iter().find_map(|segment| {
        let needle = format!("/{segment}/");
        let found = line.match_indices(&needle).find(|(at, _)| {
            let rest = &line[*at..];
            starts_a_path(&line[..*at])
                && rest[needle.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '.' || c == '_')
                && !PRODUCT.iter().any(|path| rest.starts_with(path))
        });
        found.map(|(at, _)| line[at..].split([' ', '"', '\'', '`', ')']).next().unwrap_or_default())
    })
}

/// Tells whether a `/` that follows this text opens an absolute path: it does not inside a URL or a relative path.
fn starts_a_path(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || "._-/*}>)]".contains(c))
}

/// The address of a package registry belongs to the machine's settings, not to the project's files.
fn registry(file: &str, line: &str) -> Option<String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let line = line.trim();
    let found = match name {
        "package-lock.json" => line.starts_with("\"resolved\": \"http"),
        ".npmrc" => line.starts_with("registry") || line.starts_with("//"),
        _ if name.starts_with("requirements") => {
            line.contains("-index-url") || line.starts_with("-i ") || line.contains("://")
        }
        _ if file.ends_with(".cargo/config.toml") => line.starts_with("[source") || line.starts_with("[registr"),
        _ => false,
    };
    found.then(|| "the address of a registry: it belongs to the machine's settings".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> usize {
        check(file, text).len()
    }

    #[test]
    fn machine_paths() {
        // Put together here, so that this file holds none.
        let path = |segment: &str| format!("see /{segment}/somebody/x");
        assert_eq!(found("a.md", &path("home")), 1);
        assert_eq!(found("a.md", &path("root")), 1);
        assert_eq!(found("a.md", "target/work/x and http://x/home/page and /tmp/x"), 0);
        assert_eq!(found("a.md", "reads /home/ballerina/Config.toml"), 0);
    }

    #[test]
    fn registry_addresses() {
        let lock = "  \"resolved\": \"https://example.com/x.tgz\",";
        assert_eq!(found("tests/package-lock.json", lock), 1);
        assert_eq!(found("tests/other.json", lock), 0);
        assert_eq!(found("requirements.txt", "--extra-index-url https://example.com"), 1);
        assert_eq!(found("requirements.txt", "openai==3.52.0"), 0);
        assert_eq!(found(".cargo/config.toml", "[source.crates]"), 1);
    }
}
