//! What is asked: the body is read within its bounds, and as much of it understood as routing and accounting need.

mod heard;

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::lane::Surface;
use dialect::lane::asked::Asked;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use ir::failure::{Code, Failure, Fault};
use ir::id::RequestId;
use net::deadline::{after, within};
use policy::clock::Monotonic;
use policy::compile::limit::is_bucket;
use policy::condition::facts::Header;
use policy::snapshot::UnsupportedParams;
use serde::de::IgnoredAny;

use self::heard::Heard;
use super::authenticate::{Authenticated, Identity};
use crate::gateway::{Gateway, Options};
use crate::idempotency::Once;
use crate::pipeline::Arrival;
use crate::refusal::Refusal;

/// More hops through gateways than any sensible set-up has.
const MAX_HOPS: usize = 8;

/// What the head of a request says about how it is to be served.
#[derive(Debug)]
pub struct Call {
    /// The request's id.
    pub id: RequestId,
    /// When it arrived.
    pub arrived: Monotonic,
    /// The TCP peer.
    pub peer: IpAddr,
    /// `x-llm-provider`
    pub provider: Option<Box<str>>,
    /// `x-crossway-bucket`
    pub bucket: Option<Box<str>>,
    /// `x-crossway-timeout-ms`
    pub timeout: Option<Duration>,
    /// `Idempotency-Key`
    pub once: Option<Box<Once>>,
    /// Nothing may be dropped: `x-crossway-strict`, or without it the environment's setting.
    pub strict: bool,
    /// The header lines that go to every provider with it.
    pub fields: String,
    /// The header lines that go to a provider of the dialect `anthropic` besides, when the caller set any of them.
    pub anthropic: Option<Box<str>>,
    /// All headers by their names, where the key's route looks at them.
    pub headers: Box<[Header]>,
}

/// A request that is understood.
pub struct Decoded {
    /// How it is to be served.
    pub call: Call,
    /// Who asks.
    pub identity: Identity,
    /// What it asks for.
    pub request: Asked,
}

/// Reads the body and what it asks for.
///
/// # Errors
/// 413, 415, 408 and 400; 502 `loop_detected` when the request has been here before.
pub async fn decode<B>(gateway: &Gateway, surface: Surface, authenticated: Authenticated<B>) -> Result<Decoded, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Authenticated { arrival, identity } = authenticated;
    let id = arrival.id;
    let heard = Heard::of(arrival.headers());
    let strict = identity.configuration.snapshot.environment.unsupported_params == UnsupportedParams::Refuse;
    let routes = &identity.configuration.snapshot.routes;
    let headers = match routes.looks(&identity.key.compiled.name).wants_headers() {
        true => all(arrival.headers()),
        false => Box::default(),
    };
    let call = call(gateway, &arrival, &heard, strict)
        .map(|call| Call { headers, ..call })
        .map_err(|failure| Refusal::closing(id, failure))?;
    check_media(&heard).map_err(|failure| Refusal::closing(id, failure))?;
    let declared = heard.content_length.and_then(|length| length.to_str().ok()?.parse().ok());
    let body = read(arrival, declared, &gateway.options).await.map_err(|failure| Refusal::closing(id, failure))?;
    let request = Asked::decode(surface, body).map_err(|failure| Refusal::early(id, failure))?;
    Ok(Decoded { call, identity, request })
}

/// `strict` is what holds where the caller does not say.
fn call<B>(gateway: &Gateway, arrival: &Arrival<B>, heard: &Heard<'_>, strict: bool) -> Result<Call, Failure> {
    if let Some(name) = heard.twice {
        return Err(Failure::invalid(name, format!("the header {name} appears more than once: send it once")));
    }
    let text = |name: &'static str, value: Option<_>| value.map(|value| ascii(name, value)).transpose();
    let timeout = match text("x-crossway-timeout-ms", heard.timeout)? {
        None => None,
        Some(ms) => match ms.parse::<u64>() {
            Ok(ms @ 1..=86_400_000) => Some(Duration::from_millis(ms)),
            _ => {
                let message = "x-crossway-timeout-ms must be a whole number from 1 to 86400000";
                return Err(Failure::invalid("x-crossway-timeout-ms", message));
            }
        },
    };
    let mut fields = String::with_capacity(96);
    fields.push_str("x-crossway-hop: ");
    if let Some(hops) = text("x-crossway-hop", heard.hop)? {
        let seen = || hops.split(',').map(str::trim);
        if seen().any(|hop| *hop == *gateway.instance) || seen().count() >= MAX_HOPS {
            let message = "this request has passed through this gateway before: a provider points back at it";
            return Err(Failure::new(Code::LoopDetected, Fault::Operator, message));
        }
        fields.push_str(hops);
        fields.push_str(", ");
    }
    fields.push_str(&gateway.instance);
    fields.push_str("\r\n");
    if let Some(parent) = text("traceparent", heard.traceparent)?.filter(|parent| is_traceparent(parent)) {
        fields.push_str("traceparent: ");
        fields.push_str(parent);
        fields.push_str("\r\n");
    }
    let provider = text("x-llm-provider", heard.provider)?.filter(|name| !name.is_empty()).map(Into::into);
    let bucket = match text("x-crossway-bucket", heard.bucket)?.filter(|name| !name.is_empty()) {
        Some(name) if !is_bucket(name) => {
            let message = "x-crossway-bucket must be a name of 1 to 128 visible ASCII characters";
            return Err(Failure::invalid("x-crossway-bucket", message));
        }
        name => name.map(Into::into),
    };
    if text("x-crossway-metadata", heard.metadata)?.is_some_and(|metadata| !is_object(metadata)) {
        let message = "x-crossway-metadata must be a JSON object, such as {\"team\": \"search\"}";
        return Err(Failure::invalid("x-crossway-metadata", message));
    }
    let strict = match text("x-crossway-strict", heard.strict)? {
        None => strict,
        Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(Failure::invalid("x-crossway-strict", "x-crossway-strict must be true or false")),
    };
    let mut betas = Vec::new();
    for beta in &heard.anthropic_beta {
        betas.push(ascii("anthropic-beta", beta)?);
    }
    let once = heard.idempotency.map(|value| Once::read(value, arrival.head.uri.path())).transpose()?;
    let version = text("anthropic-version", heard.anthropic_version)?;
    let anthropic = anthropic_fields(version, &betas.join(", "));
    let peer = arrival.peer.ip();
    Ok(Call {
        id: arrival.id,
        arrived: arrival.at,
        peer,
        provider,
        bucket,
        timeout,
        once,
        strict,
        fields,
        anthropic,
        headers: Box::default(),
    })
}

/// Returns all headers that are text. Of one that stands there several times, the first counts.
pub(crate) fn all(headers: &HeaderMap) -> Box<[Header]> {
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().into(), value.to_str().ok()?.trim().into()));
    headers.iter().filter_map(text).collect()
}

/// Whether a text is a JSON object; nothing of it is kept.
fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Returns the value of a header as text.
fn ascii<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, Failure> {
    let refused = |_| Failure::invalid(name, format!("the header {name} holds bytes that are not ASCII"));
    value.to_str().map(str::trim).map_err(refused)
}

/// The version of Anthropic's API that is spoken where the caller names none:
/// <https://docs.claude.com/en/api/versioning>.
pub const ANTHROPIC_FIELDS: &str = "anthropic-version: 2023-06-01\r\n";

fn anthropic_fields(version: Option<&str>, beta: &str) -> Option<Box<str>> {
    let version = version.filter(|version| !version.is_empty());
    if version.is_none() && beta.is_empty() {
        return None;
    }
    let mut fields = String::with_capacity(64);
    match version {
        None => fields.push_str(ANTHROPIC_FIELDS),
        Some(version) => {
            for part in ["anthropic-version: ", version, "\r\n"] {
                fields.push_str(part);
            }
        }
    }
    if !beta.is_empty() {
        fields.push_str("anthropic-beta: ");
        fields.push_str(beta);
        fields.push_str("\r\n");
    }
    Some(fields.into())
}

/// Whether a value has the form of a W3C trace context: hexadecimal digits and dashes, 55 characters.
fn is_traceparent(value: &str) -> bool {
    value.len() == 55 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Only plain JSON is read: a compressed body could hold any amount, another type would make browsers send it without
/// asking first.
fn check_media(heard: &Heard<'_>) -> Result<(), Failure> {
    let unsupported = |message: &str| Failure::new(Code::UnsupportedMediaType, Fault::Caller, message);
    if heard.content_encoding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported("compressed request bodies are not supported: send the JSON as it is"));
    }
    let Some(kind) = heard.content_type else { return Ok(()) };
    if kind.as_bytes() == b"application/json" {
        return Ok(());
    }
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || kind.ends_with("+json") {
        return Ok(());
    }
    Err(unsupported("the content-type must be application/json"))
}

/// Reads a body within its bounds.
///
/// # Errors
/// 413, 408, and 400 for one that breaks off.
pub(crate) async fn read<B>(arrival: Arrival<B>, declared: Option<usize>, options: &Options) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let limit = options.body_limit;
    let too_large = || {
        let message = format!("the request body is larger than {limit} bytes");
        Failure::new(Code::RequestTooLarge, Fault::Caller, message)
    };
    if declared.is_some_and(|declared| declared > limit) {
        return Err(too_large());
    }
    let mut body = arrival.body;
    let Some(first) = next(&mut body, options).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(too_large());
    }
    let Some(second) = next(&mut body, options).await? else { return Ok(first) };
    // The declared length is the caller's word: no more than a megabyte is believed in advance.
    let expected = declared.unwrap_or(0).clamp(first.len() + second.len(), (1 << 20).max(first.len() + second.len()));
    let mut whole = BytesMut::with_capacity(expected);
    whole.extend_from_slice(&first);
    drop(first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        if whole.len() + bytes.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&bytes);
        drop(bytes);
        piece = next(&mut body, options).await?;
    }
    Ok(whole.freeze())
}

/// Returns the next piece of a body; trailers are passed over.
async fn next<B>(body: &mut B, options: &Options) -> Result<Option<Bytes>, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        let frame = std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context));
        match within(|| after(options.body_idle), frame).await {
            Err(_) => {
                let message = "the request body did not arrive in time";
                return Err(Failure::new(Code::RequestTimeout, Fault::Caller, message));
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => {
                return Err(Failure::new(Code::InvalidRequest, Fault::Caller, "the request body could not be read"));
            }
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
