//! How email is sent.

use super::notify::is_address;
use super::settings::SettingsSource;
use super::text::choice;
use super::{Report, Severity};
use crate::problem::{Origin, Problem};
use crate::secret::Secret;
use crate::spec::smtp::{Smtp, SmtpTls};

/// Checks the table and its variables; faulty ones are reported, and no email is sent by them.
pub(super) fn compile_smtp(source: &SettingsSource, problems: &mut Vec<Problem>) -> Option<Smtp> {
    let entry = source.smtp.as_ref()?;
    let (spec, origin) = (&entry.spec, &entry.origin);
    let mut report = Report::default();
    let host = spec.host.as_deref().map(str::trim).filter(|host| !host.is_empty());
    match host {
        None => report.add(origin, "host", "missing: the name of the mail server"),
        Some(host) if !is_host(host) => report.add(origin, "host", "not the name of a host, without scheme or port"),
        Some(_) => {}
    }
    let modes = [("starttls", SmtpTls::StartTls), ("tls", SmtpTls::Tls), ("none", SmtpTls::None)];
    let tls = choice(spec.tls.as_deref().unwrap_or("starttls").trim(), &modes, origin, "tls", &mut report);
    let usual = match tls {
        Some(SmtpTls::Tls) => 465,
        Some(SmtpTls::None) => 25,
        _ => 587,
    };
    let port = spec.port.as_ref().map_or(Some(usual), |port| port.0.trim().parse().ok().filter(|port| *port > 0));
    if port.is_none() {
        report.add(origin, "port", "not a port: 1 to 65535");
    }
    let login = login(spec.user.as_deref(), spec.password.as_ref(), origin, &mut report);
    if login.is_some() && tls == Some(SmtpTls::None) {
        report.warn(origin, "tls", "the password is sent in clear: use starttls or tls");
    }
    let from = sender(spec.from.as_deref());
    if from.is_none() {
        let hint = Some("write it like crossway@example.com, or Crossway <crossway@example.com>".to_owned());
        report.add_hint(origin, "from", "missing or not an email address", hint);
    }
    let broken = report.problems.iter().any(|problem| problem.severity == Severity::Error);
    problems.extend(report.problems);
    if broken || !origin.broken.is_empty() {
        return None;
    }
    let (from_name, from) = from?;
    Some(Smtp { host: host?.to_owned(), port: port?, tls: tls?, login, from_name, from })
}

fn login(
    user: Option<&str>,
    password: Option<&Secret>,
    origin: &Origin,
    report: &mut Report,
) -> Option<(String, Secret)> {
    let user = user.map(str::trim).filter(|user| !user.is_empty());
    if password.is_some_and(|password| password.expose().is_empty()) {
        report.add_hint(origin, "password", "set but empty", Some("leave it out when nobody signs in".to_owned()));
    }
    match (user, password) {
        (Some(user), Some(password)) => Some((user.to_owned(), password.clone())),
        (Some(_), None) => {
            report.add(origin, "password", "missing: a user is named");
            None
        }
        (None, Some(_)) => {
            report.add(origin, "user", "missing: a password is set");
            None
        }
        (None, None) => None,
    }
}

fn is_host(host: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    host.len() <= 253 && host.bytes().all(inner) && (!host.contains(':') || host.parse::<std::net::IpAddr>().is_ok())
}

/// Returns name and address of a sender.
fn sender(text: Option<&str>) -> Option<(String, String)> {
    let text = text?.trim();
    if text.chars().any(char::is_control) {
        return None;
    }
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').to_owned(), address.trim()),
        None => (String::new(), text),
    };
    is_address(address).then(|| (name, address.to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::load::load_text;
    use crate::spec::smtp::{Smtp, SmtpTls};

    const GOOD: &str = "host = \"mail.example.com\"\nfrom = \"Crossway <crossway@example.com>\"\n";

    fn load(table: &str, variables: &[(&str, &str)]) -> Result<Option<Smtp>, String> {
        let text = format!("[smtp]\n{table}");
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        match load_text("crossway.toml", &text, &env, true) {
            Ok(loaded) => Ok(loaded.settings.smtp),
            Err(problems) => Err(problems.iter().map(|problem| format!("{problem}\n")).collect()),
        }
    }

    #[test]
    fn a_table_is_read() {
        let smtp = load(GOOD, &[]).unwrap().unwrap();
        assert_eq!((smtp.host.as_str(), smtp.port, smtp.tls), ("mail.example.com", 587, SmtpTls::StartTls));
        assert_eq!((smtp.from_name.as_str(), smtp.from.as_str()), ("Crossway", "crossway@example.com"));
        let more = format!("{GOOD}tls = \"tls\"\nuser = \"u\"\npassword = \"canary\"\n");
        let smtp = load(&more, &[]).unwrap().unwrap();
        assert_eq!((smtp.port, smtp.tls, &*smtp.login.clone().unwrap().0), (465, SmtpTls::Tls, "u"));
        assert!(!format!("{smtp:?}").contains("canary"));
        assert!(load_text("crossway.toml", "", &|_| None, true).unwrap().settings.smtp.is_none());
    }

    #[test]
    fn variables_make_and_change_it() {
        let all =
            [("CROSSWAY_SMTP_HOST", "127.0.0.1"), ("CROSSWAY_SMTP_FROM", "a@b.c"), ("CROSSWAY_SMTP_PORT", "2525")];
        let env = |name: &str| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let smtp = load_text("crossway.toml", "", &env, true).unwrap().settings.smtp.unwrap();
        assert_eq!((smtp.host.as_str(), smtp.port, smtp.from.as_str()), ("127.0.0.1", 2525, "a@b.c"));
        let smtp = load(GOOD, &[("CROSSWAY_SMTP_TLS", "none")]).unwrap().unwrap();
        assert_eq!((smtp.port, smtp.tls), (25, SmtpTls::None));
        assert!(load(GOOD, &[("CROSSWAY_SMTP_PASSWORD", "")]).unwrap_err().contains("smtp.password: set but empty"));
    }

    #[test]
    fn faults_are_named() {
        let check = |table: &str, expect: &str| {
            let found = load(table, &[]).unwrap_err();
            assert!(found.contains(expect), "{table}: {found}");
            assert!(!found.contains("canary"), "{found}");
        };
        check("", "smtp.host: missing");
        check("host = \"a\"", "smtp.from: missing");
        check(&GOOD.replace("mail.example.com", "smtp://mail:25"), "crossway.toml:2: smtp.host: not the name");
        check(&format!("{GOOD}tls = \"ssl\""), "smtp.tls: must be one of");
        check(&format!("{GOOD}port = 0"), "smtp.port: not a port");
        check(&format!("{GOOD}user = \"u\""), "smtp.password: missing");
        check(&format!("{GOOD}password = \"canary\""), "smtp.user: missing");
        check(&format!("{GOOD}user = \"u\"\npassword = \"\""), "smtp.password: set but empty");
        check("host = \"a\"\nfrom = \"a@b\\r\\nBcc: c@d\"", "smtp.from");
        check(&format!("{GOOD}prot = 25"), "unknown setting");
    }
}
