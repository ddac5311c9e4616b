//! Signing in through an OpenID provider.

use url::Url;

use crate::problem::{Problem, did_you_mean};
use crate::secret::Secret;
use crate::spec::Entry;
use crate::spec::oidc::{Oidc, OidcSpec};

/// The roles that can be given.
const ROLES: [&str; 6] = ["viewer", "auditor", "developer", "team_admin", "operator", "owner"];

/// The path to which the provider sends the browser back.
const CALLBACK: &str = "/admin/v1/oidc/callback";

/// What is asked for when nothing is written.
const SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// Checks the table; a faulty one is reported, and nobody signs in by it.
pub fn compile_oidc(entry: &Entry<OidcSpec>, problems: &mut Vec<Problem>) -> Option<Oidc> {
    let spec = &entry.spec;
    let before = problems.len();
    let mut fault = |field: &str, message: &str, hint: Option<String>| {
        if !entry.origin.is_broken(field) {
            problems.push(entry.origin.problem(field, message).maybe_hint(hint));
        }
    };
    let issuer = text(spec.issuer.as_deref());
    match issuer {
        None => fault("issuer", "missing: the address of the provider, as it calls itself", None),
        Some(issuer) if !is_address(issuer) => fault("issuer", "not an http or https URL", None),
        Some(_) => {}
    }
    let client_id = text(spec.client_id.as_deref());
    if client_id.is_none() {
        fault("client_id", "missing: the client's id at the provider", None);
    }
    if spec.client_secret.as_ref().is_some_and(|secret| secret.expose().trim().is_empty()) {
        fault("client_secret", "set but empty", Some("leave it out for a public client".to_owned()));
    }
    let unknown = |role: &str| did_you_mean(role, ROLES).unwrap_or_else(|| format!("known: {}", ROLES.join(", ")));
    for (value, role) in spec.role_map.iter().filter(|(_, role)| !ROLES.contains(&role.as_str())) {
        fault(&format!("role_map.{value}"), "no such role", Some(unknown(role)));
    }
    if let Some(role) = spec.default_role.as_deref().filter(|role| !ROLES.contains(role)) {
        fault("default_role", "no such role", Some(unknown(role)));
    }
    if spec.role_claim.is_none() && !spec.role_map.is_empty() {
        fault("role_map", "without role_claim it does nothing", Some("name the claim, such as groups".to_owned()));
    }
    if let Some(url) = spec.redirect_url.as_deref() {
        let path = Url::parse(url).ok().filter(|_| is_address(url)).map(|url| url.path().to_owned());
        if !path.is_some_and(|path| path.ends_with(CALLBACK)) {
            fault("redirect_url", "not an http or https URL that ends with /admin/v1/oidc/callback", None);
        }
    }
    for (index, domain) in spec.allowed_domains.iter().enumerate() {
        if domain.trim().is_empty() || domain.contains(['@', '*', '/', ' ']) {
            fault(&format!("allowed_domains[{index}]"), "not a domain", Some("write it like example.com".to_owned()));
        }
    }
    if problems.len() > before || !entry.origin.broken.is_empty() {
        return None;
    }
    Some(Oidc {
        issuer: issuer?.to_owned(),
        client_id: client_id?.to_owned(),
        client_secret: spec.client_secret.as_ref().map(|secret| Secret::new(secret.expose().trim())),
        scopes: spec.scopes.clone().unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec()),
        role_claim: text(spec.role_claim.as_deref()).map(str::to_owned),
        role_map: spec.role_map.clone(),
        default_role: spec.default_role.clone(),
        allowed_domains: spec.allowed_domains.iter().map(|domain| domain.trim().to_ascii_lowercase()).collect(),
        redirect_url: spec.redirect_url.clone(),
    })
}

fn text(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.fragment().is_none())
}

#[cfg(test)]
mod tests {
    use crate::load::load_text;
    use crate::spec::oidc::Oidc;

    const GOOD: &str = "issuer = \"https://login.example.com\"\nclient_id = \"crossway\"\n";

    fn load(table: &str) -> Result<Oidc, Vec<String>> {
        let text = format!("[oidc]\n{table}");
        match load_text("crossway.toml", &text, &|_| None, true) {
            Ok(loaded) => Ok(loaded.settings.oidc.unwrap()),
            Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn a_table_is_read() {
        let oidc = load(GOOD).unwrap();
        assert_eq!((oidc.issuer.as_str(), oidc.client_secret), ("https://login.example.com", None));
        assert_eq!(oidc.scopes, ["openid", "email", "profile"]);
        let more = format!(
            "{GOOD}client_secret = \"s\"\nscopes = [\"openid\", \"groups\"]\nrole_claim = \"groups\"\n\
             default_role = \"viewer\"\nallowed_domains = [\"Example.COM\"]\n\
             redirect_url = \"https://gw.example.com/admin/v1/oidc/callback\"\n[oidc.role_map]\nops = \"operator\"\n"
        );
        let oidc = load(&more).unwrap();
        assert_eq!((oidc.role_map["ops"].as_str(), oidc.allowed_domains), ("operator", vec!["example.com".to_owned()]));
        assert_eq!(oidc.client_secret.unwrap().expose(), "s");
        assert!(load_text("crossway.toml", "", &|_| None, true).unwrap().settings.oidc.is_none());
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let check = |table: &str, expect: &str| {
            let found = load(table).unwrap_err().join("\n");
            assert!(found.contains(expect), "{table}: {found}");
        };
        check("", "crossway.toml:1: oidc.issuer: missing");
        check("", "oidc.client_id: missing");
        check("issuer = \"login\"\nclient_id = \"c\"", "crossway.toml:2: oidc.issuer: not an http or https URL");
        check(&format!("{GOOD}client_secret = \"\""), "oidc.client_secret: set but empty");
        check(&format!("{GOOD}default_role = \"root\""), "oidc.default_role: no such role");
        check(&format!("{GOOD}role_claim = \"g\"\nrole_map = {{ ops = \"operater\" }}"), "operator");
        check(&format!("{GOOD}role_map = {{ ops = \"operator\" }}"), "without role_claim");
        check(&format!("{GOOD}redirect_url = \"https://x/callback\""), "oidc.redirect_url");
        check(&format!("{GOOD}allowed_domains = [\"*.x\"]"), "oidc.allowed_domains[0]: not a domain");
        check(&format!("{GOOD}isuer = \"x\""), "unknown setting");
        check(&format!("{GOOD}client_secret = 5"), "oidc.client_secret");
    }
}
