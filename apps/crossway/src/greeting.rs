//! What `serve` prints when it is up.

use std::io::{self, Write as _, stdout};
use std::net::SocketAddr;

use policy::secret::Secret;

use crate::remote::reachable;

/// Prints where everything is, and a line that works as it stands.
///
/// # Errors
/// When stdout fails.
pub fn greet(data: SocketAddr, admin: SocketAddr, secret: Option<&Secret>) -> io::Result<()> {
    let mut out = stdout().lock();
    let (data, admin) = (reachable(data), reachable(admin));
    writeln!(out, "Crossway {}\n", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "data plane  http://{data}")?;
    writeln!(out, "admin       http://{admin}")?;
    if let Some(secret) = secret {
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
