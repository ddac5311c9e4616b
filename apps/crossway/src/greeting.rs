//! What `serve` prints when it is up.

use std::io::{self, Write as _, stdout};
use std::net::SocketAddr;

use policy::secret::Secret;

use crate::remote::reachable;

/// What is shown at a start, and never again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secrets<'a> {
    /// The secret of a key made for this start.
    pub first_key: Option<&'a Secret>,
    /// The code with which the first person makes themselves the owner, while there is nobody.
    pub setup_code: Option<&'a Secret>,
}

/// Prints where everything is, and a line that works as it stands. `public_url` is where people reach the admin side
/// when that is another place.
///
/// # Errors
/// When stdout fails.
pub fn greet(data: SocketAddr, admin: SocketAddr, public_url: Option<&str>, secrets: Secrets<'_>) -> io::Result<()> {
    let mut out = stdout().lock();
    let (data, admin) = (reachable(data), reachable(admin));
    writeln!(out, "Crossway {}\n", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "data plane  http://{data}")?;
    writeln!(out, "admin       http://{admin}")?;
    if let Some(code) = secrets.setup_code {
        let at = public_url.map_or_else(|| format!("http://{admin}"), str::to_owned);
        writeln!(out, "\nNobody can sign in yet. Become the owner, once, within 24 hours:")?;
        writeln!(out, "{at}/setup#code={}", code.expose())?;
    }
    if let Some(secret) = secrets.first_key {
        writeln!(out, "\nThis key is shown once:  export CROSSWAY_API_KEY={}\n\nTry it:", secret.expose())?;
        writeln!(
            out,
            "curl http://{data}/v1/chat/completions -H 'Authorization: Bearer {}' \
             -H 'Content-Type: application/json' -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'",
            secret.expose()
        )?;
    }
    out.flush()
}
