//! Teams.

use super::Report;
use super::key::MAX_DESCRIPTION;
use super::text::check_prose;
use crate::problem::Problem;
use crate::spec::Entry;
use crate::spec::team::TeamSpec;

/// The most members of a team.
const MAX_MEMBERS: usize = 10_000;

/// The most octets of an email address (RFC 5321 section 4.5.3.1.3, without the angle brackets).
const MAX_EMAIL: usize = 254;

/// Returns everything that is wrong with a team.
pub fn check_team(entry: &Entry<TeamSpec>) -> Vec<Problem> {
    let Entry { spec, origin, .. } = entry;
    let mut report = Report::default();
    check_prose(&spec.description, MAX_DESCRIPTION, origin, "description", &mut report);
    if spec.members.len() > MAX_MEMBERS {
        report.add(origin, "members", format!("too many: at most {MAX_MEMBERS}"));
        return report.problems;
    }
    let mut seen = std::collections::HashSet::new();
    for (index, member) in spec.members.iter().enumerate() {
        let field = format!("members[{index}]");
        if !is_email(member) {
            report.add_hint(origin, &field, "not an email address", Some("write it as name@example.com".to_owned()));
        } else if !seen.insert(member.to_lowercase()) {
            report.add(origin, &field, "the same member twice");
        }
    }
    report.problems
}

/// Whether a text has the form of an email address: a name of at most 64 octets, `@`, and a domain. Whether somebody
/// reads it only a message can tell.
fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.rsplit_once('@') else { return false };
    let visible = |letter: char| !letter.is_control() && !letter.is_whitespace() && !"@<>(),;:\"\\[]".contains(letter);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    let dotted = |name: &str| !name.starts_with('.') && !name.ends_with('.') && !name.contains("..");
    text.len() <= MAX_EMAIL
        && (1..=64).contains(&name.len())
        && name.chars().all(visible)
        && dotted(name)
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Origin;

    fn check(members: &[&str], expect: &[&str]) {
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        let spec = TeamSpec { members, ..TeamSpec::default() };
        let entry = Entry { name: "t".to_owned(), spec, origin: Origin::new("api", "teams.t") };
        let found: Vec<String> = check_team(&entry).iter().map(ToString::to_string).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn members_are_email_addresses() {
        let good = ["a@b.c", "ann.o'hara+x@mail.example.com", "root@localhost", "ünal@bücher.example"];
        check(&good, &[]);
        let long = format!("{}@b.c", "x".repeat(65));
        for bad in [
            "", "a", "@b.c", "a@", "a b@c.d", "a@b@c.d", "a@b..c", ".a@b.c", "a.@b.c", "a@-b.c", "a\n@b.c", "<a@b.c>",
            &long,
        ] {
            check(&[bad], &["api: teams.t.members[0]: not an email address (write it as name@example.com)"]);
        }
    }

    #[test]
    fn a_member_is_listed_once() {
        check(&["a@b.c", "A@b.c"], &["api: teams.t.members[1]: the same member twice"]);
        let many: Vec<String> = (0..10_001).map(|number| format!("m{number}@b.c")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(&many, &["api: teams.t.members: too many: at most 10000"]);
    }

    #[test]
    fn a_description_has_an_end() {
        let spec = TeamSpec { description: "x".repeat(1_001), ..TeamSpec::default() };
        let entry = Entry { name: "t".to_owned(), spec, origin: Origin::new("api", "teams.t") };
        let found: Vec<String> = check_team(&entry).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["api: teams.t.description: too long: 1001 characters, at most 1000 are allowed"]);
    }
}
