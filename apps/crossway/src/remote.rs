//! The admin API of a running gateway, as the commands call it.

use std::fs;
use std::io::{Write as _, stderr};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use net::connector::{ConnectError, Connector as _, TcpConnector};
use net::deadline::after;
use net::h1::Connection;
use net::url_guard::{Checked, check};
use policy::secret::Secret;
use serde_json::Value;
use tokio::runtime;
use tokio::time::timeout_at;

use crate::assemble::authorities;
use crate::cli::{ConfigArgs, Failure, variable};

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// The largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 << 20;

/// Which gateway is meant, and who asks.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// The address of the admin API; without it CROSSWAY_ADMIN_URL, else the admin_listen of the configuration
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// A file with the admin token; without it CROSSWAY_ADMIN_TOKEN, else the configuration's when it names the server
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// A gateway that can be asked.
pub struct Remote {
    base: Checked,
    token: Secret,
    runtime: runtime::Runtime,
    connector: TcpConnector,
}

/// What a gateway answered.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl ServerArgs {
    /// Returns what reaches the gateway. Only where it is encrypted does it matter whom the configuration trusts.
    fn connector(&self, tls: bool) -> Result<TcpConnector, Failure> {
        let read = if tls { self.config.read(false).ok() } else { None };
        let authorities = read.map(|read| authorities(&read)).transpose().map_err(|fault| fault.to_string())?;
        Ok(TcpConnector::default().trusting(authorities.unwrap_or_default()))
    }

    /// Returns the gateway that is meant.
    ///
    /// # Errors
    /// When its address or the token is missing or not valid.
    pub fn remote(&self) -> Result<Remote, Failure> {
        let named = self.server.clone().or_else(|| variable("CROSSWAY_ADMIN_URL").filter(|url| !url.is_empty()));
        let token = match &self.token_file {
            Some(path) => Some(read_token(path)?),
            None => variable("CROSSWAY_ADMIN_TOKEN").filter(|token| !token.is_empty()).map(Secret::new),
        };
        // The configuration's token belongs to the gateway of the configuration, and goes to no other.
        let (url, token) = match (named, token) {
            (Some(url), token) => (url, token),
            (None, token) => {
                let settings = self.config.read(false)?.settings;
                (format!("http://{}", reachable(settings.admin_listen)), token.or(settings.admin_token))
            }
        };
        let token = token.ok_or(
            "no admin token: set CROSSWAY_ADMIN_TOKEN to the one that the gateway was started with, or name a file with \
             --token-file",
        )?;
        let base = check(&url, true).map_err(|error| {
            format!("{url:?} is not the address of a gateway: {error} (write it like http://127.0.0.1:8081)")
        })?;
        if !base.origin.tls && !is_local(&base.origin.host) {
            writeln!(stderr(), "warning: the token and what is sent travel to {} unencrypted", base.origin)?;
        }
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let connector = self.connector(base.origin.tls)?;
        Ok(Remote { base, token, runtime, connector })
    }
}

fn read_token(path: &PathBuf) -> Result<Secret, Failure> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    match text.trim() {
        "" => Err(format!("{} is empty: put the admin token into it", path.display()).into()),
        token => Ok(Secret::new(token)),
    }
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns an address that a client on this machine can use: an unspecified one stands for all.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    address
}

impl Remote {
    /// Asks for something.
    ///
    /// # Errors
    /// When the gateway cannot be reached, does not answer in time or in its form, or does not know the token.
    pub fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.call("GET", path, None)
    }

    /// Sends something.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.call("POST", path, Some(body))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let (status, body) = self.runtime.block_on(async {
            let exchange = self.exchange(method, path, body);
            timeout_at(after(DEADLINE), exchange).await.map_err(|_| self.unusable("it did not answer in a minute"))?
        })?;
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|_| self.unusable("its answer is not JSON: is this the admin address of a gateway?"))?;
        match status {
            401 => Err(self.unusable("it does not know the token")),
            413 => Err(self.unusable("that is more than it takes at once: apply fewer files at a time")),
            // The admin side's errors have no `type`; those that callers of models are told have.
            404 if answer.pointer("/error/type").is_some() => {
                Err(self.unusable("that is the data plane: name the admin address, port 8081 unless set otherwise"))
            }
            status => Ok(Answer { status, body: answer }),
        }
    }

    async fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Bytes), Failure> {
        let io = self.connector.connect(&self.base.origin).await;
        let io = io.map_err(|error| {
            let hint = match error {
                ConnectError::Tls(_) => "does it speak https, and is its certificate's authority known (ca_file)?",
                _ => "is it running?",
            };
            self.unusable(&format!("it cannot be reached ({error}): {hint}"))
        })?;
        let mut connection = Connection::new(io);
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {}{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nuser-agent: crossway-cli/{}\r\n\
             accept: application/json\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.base.target.trim_end_matches('/'),
            self.base.host,
            header_value(self.token.expose())?,
            env!("CARGO_PKG_VERSION"),
            body.len(),
        );
        let sent = connection.send(head.as_bytes(), &[Bytes::from(body)]).await;
        // A gateway that refuses early has answered although not everything was sent.
        let head = connection.head().await.map_err(|error| {
            let error = sent.err().map_or_else(|| error.to_string(), |sent| sent.to_string());
            self.unusable(&format!("the call failed ({error})"))
        })?;
        let body = connection.collect(ANSWER_LIMIT).await;
        Ok((head.status, body.map_err(|error| self.unusable(&format!("its answer broke off ({error})")))?))
    }

    fn unusable(&self, why: &str) -> Failure {
        format!("{}: {why}", self.base.origin).into()
    }
}

/// A token with a line break in it would be another header.
fn header_value(token: &str) -> Result<&str, Failure> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(token)
    } else {
        Err("the admin token holds characters that no token has: check where it comes from".into())
    }
}

impl Answer {
    /// Returns the body of a success.
    ///
    /// # Errors
    /// With the message and the hint of anything else.
    pub fn success(self) -> Result<Value, Failure> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let text = |member: &str| self.body.pointer(&format!("/error/{member}")).and_then(Value::as_str);
        let message = text("message").unwrap_or("it did not say why");
        let hint = text("hint").map(|hint| format!(" ({hint})")).unwrap_or_default();
        Err(format!("the gateway refused with {}: {message}{hint}", self.status).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cannot_be_headers() {
        assert!(header_value("sk-a.b_c~").is_ok());
        assert!(header_value("a\r\nx: y").is_err());
        assert!(header_value("a b").is_err());
    }

    #[test]
    fn loopback_is_local() {
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "::1"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example.com", "example.com", "0.0.0.0"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
