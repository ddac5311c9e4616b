//! Emails: what they say, and how one is sent.
//!
//! They are plain text: nothing that somebody called a key or a team is ever markup. Where such a name stands in a header
//! it is one line, encoded by the library; addresses were checked when they were written.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::response::{Category, Severity};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use net::deadline::after;
use policy::spec::smtp::{Smtp, SmtpTls};
use serde_json::Value;
use tokio::time::timeout_at;

mod text;

/// How long the server may take to answer a line.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long all of it may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// How long somebody who tries it waits.
const TRIAL: Duration = Duration::from_secs(10);

/// Sends email through one server.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why email cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The sender is no address.
    #[error("the address of the sender is not one")]
    From,
    /// There is no usable encryption.
    #[error("tls cannot be set up for the mail server")]
    Tls,
}

/// Why one email was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounce {
    /// What the server answered.
    pub(super) status: Option<u16>,
    /// What went wrong, in our words.
    pub(super) error: String,
    /// Whether trying again is of no use.
    pub(super) for_good: bool,
}

impl Mailer {
    /// Makes one ready. Nothing is connected yet.
    ///
    /// # Errors
    /// [`MailError`].
    pub fn new(smtp: &Smtp) -> Result<Self, MailError> {
        let address: Address = smtp.from.parse().map_err(|_| MailError::From)?;
        let name = Some(one_line(&smtp.from_name)).filter(|name| !name.is_empty());
        let parameters = || TlsParameters::new(smtp.host.clone()).map_err(|_| MailError::Tls);
        let tls = match smtp.tls {
            SmtpTls::None => Tls::None,
            SmtpTls::StartTls => Tls::Required(parameters()?),
            SmtpTls::Tls => Tls::Wrapper(parameters()?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
            .port(smtp.port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = &smtp.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self { transport: builder.build(), from: Mailbox::new(name, address) })
    }

    /// Sends an event once, to try the way out, and returns what the server answered, or what went wrong.
    ///
    /// # Errors
    /// With the status that the server answered, if it did, and what went wrong in our words.
    pub async fn trial(&self, to: &str, envelope: &str, now_ms: u64) -> Result<(), (Option<u16>, String)> {
        match timeout_at(after(TRIAL), self.send(to, envelope, now_ms)).await {
            Ok(sent) => sent.map_err(|bounce| (bounce.status, bounce.error)),
            Err(_) => Err((None, "the mail server did not answer in time".to_owned())),
        }
    }

    /// Sends an event. Its id is in the message's, so that one that comes twice can be told.
    pub(super) async fn send(&self, to: &str, envelope: &str, now_ms: u64) -> Result<(), Bounce> {
        let event: Value = serde_json::from_str(envelope).unwrap_or_default();
        let (subject, text) = text::of(&event);
        let bad = |error: &str| Bounce { status: None, error: error.to_owned(), for_good: true };
        let address: Address = to.parse().map_err(|_| bad("not an email address"))?;
        let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(one_line(&subject))
            .date(UNIX_EPOCH + Duration::from_millis(now_ms))
            .message_id(Some(format!("<{}@{}>", one_line(id), self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|_| bad("the message cannot be written"))?;
        self.transport.send(message).await.map(|_| ()).map_err(|error| bounce(&error))
    }
}

/// Says what went wrong. What the server says is not repeated: it may be anything.
fn bounce(error: &lettre::transport::smtp::Error) -> Bounce {
    let status = error.status();
    // 5yz with y = 5 is about this message or its receiver; a sign-in that fails may be set right.
    let for_good = status.is_some_and(|code| {
        code.severity == Severity::PermanentNegativeCompletion && code.category == Category::MailSystem
    });
    let status = status.map(u16::from);
    let words = match status {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server did not answer in time".to_owned(),
        None if error.is_tls() => "the connection to the mail server cannot be encrypted".to_owned(),
        None if error.is_client() => "the mail server cannot do what is asked: is tls right?".to_owned(),
        None => "the mail server cannot be reached".to_owned(),
    };
    Bounce { status, error: words, for_good }
}

/// A name that somebody chose may hold anything; a header is one line, and not too long a one.
fn one_line(text: &str) -> String {
    ir::plain::one_line(text.get(..text.floor_char_boundary(800)).unwrap_or_default()).chars().take(200).collect()
}
