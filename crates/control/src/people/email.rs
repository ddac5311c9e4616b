//! Email addresses as names of people: compared in lower case, in ASCII.

/// The longest address (RFC 5321 section 4.5.3.1.3).
const MAX_BYTES: usize = 254;

/// Returns an address as it is stored.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.len() > MAX_BYTES {
        return Err("an email address has at most 254 bytes");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['<', '>', ',', ';', '"', '\\', '(', ')']) {
        return Err("an email address is written in ASCII without spaces, quotes and brackets");
    }
    match text.split_once('@') {
        Some((local, domain)) if !local.is_empty() && is_domain(domain) => Ok(text.to_ascii_lowercase()),
        _ => Err("an email address has the form name@domain"),
    }
}

/// Returns the name under which attempts on an address are counted, be it an address or not.
pub(super) fn account(text: &str) -> String {
    text.trim().chars().take(MAX_BYTES).collect::<String>().to_lowercase()
}

/// Returns the part behind the `@`.
pub(super) fn domain(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !text.is_empty() && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(check(text).ok().as_deref(), expect, "{text}");
        check("ann@example.com", Some("ann@example.com"));
        check(" Ann.Smith+x@Example.COM ", Some("ann.smith+x@example.com"));
        check("o'hara@localhost", Some("o'hara@localhost"));
        check("a@b-c.d", Some("a@b-c.d"));
        for wrong in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a b@c.d",
            "a@b@c.d",
            "a@b..c",
            "a@-b.c",
            "a@b.",
            "a@b_c.d",
            "ä@b.c",
            "a@ä.c",
            "<a@b.c>",
            "a@b.c,d@e.f",
            "\"a\"@b.c",
            "a\n@b.c",
            "a\0@b.c",
        ] {
            check(wrong, None);
        }
        check(&format!("{}@b.c", "a".repeat(251)), None);
        check(&format!("{}@b.c", "a".repeat(250)), Some(&format!("{}@b.c", "a".repeat(250))));
    }

    #[test]
    fn accounts_are_counted_in_one_spelling() {
        assert_eq!(account(" ANN@x.test"), "ann@x.test");
        assert_eq!(account(&"é".repeat(10_000)).chars().count(), 254);
        assert_eq!(domain("ann@x.test"), "x.test");
    }
}
