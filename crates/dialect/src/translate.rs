//! From one dialect to another, through the canonical vocabulary: what every dialect folder offers.
//!
//! | file | function | where |
//! |---|---|---|
//! | `request/decode` | `decode(body: &str) -> Result<Request, Failure>` | dialects that are served |
//! | `request/encode` | `encode(&Request, &Callee) -> Result<Encoded, Failure>` | dialects that are called |
//! | `response/decode` | `decode(body: &str, seed: &str) -> Result<Response, NotAReply>` | called |
//! | `response/encode` | `encode(&Response, &Label) -> Vec<u8>` | served |
//! | `stream/decode` | [`Decode`] | called |
//! | `stream/encode` | [`Encode`] | served |
//! | `error` | `read(body: &[u8]) -> Report` | called |
//! | `error` | `render(&Failure, RequestId) -> Vec<u8>`, `render_event` | served |

use ir::chat::event::Event;
use ir::dialect::Quirk;
use ir::report::Report;

/// Whom a request is encoded for.
#[derive(Clone, Copy, Debug)]
pub struct Callee<'a> {
    /// What the provider calls the model.
    pub model: &'a str,
    /// The most the model can write, where that is known: for dialects that want a limit with every request.
    pub max_output_tokens: Option<u64>,
    /// Whether usage must be asked for in a stream.
    pub ask_usage: bool,
    /// Where the vendor spells something otherwise than its dialect.
    pub quirks: &'a [Quirk],
    /// Members of its dialect's requests that the vendor refuses, as paths of names: `store`, `messages.refusal`.
    pub refuses: &'a [Box<str>],
}

impl Callee<'_> {
    /// Whether the vendor has a quirk.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Whether the vendor refuses a member, by its path of names.
    pub fn refuses(&self, path: &str) -> bool {
        self.refuses.iter().any(|refused| **refused == *path)
    }
}

/// A request on its way to a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The body.
    pub body: Vec<u8>,
    /// The parameters that the provider's dialect cannot say and that only tune the answer, by their name in the
    /// caller's dialect. What the answer depends on is not dropped but refused.
    pub dropped: Vec<String>,
}

/// What an encoded reply says where the provider said nothing.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// 32 hexadecimal digits, for ids of completions and of tool calls.
    pub seed: &'a str,
    /// The provider's name of the model.
    pub model: &'a str,
    /// Unix seconds.
    pub created: u64,
}

/// Why a body is not a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAReply {
    /// It is not what the dialect's replies are; the text is for the log.
    Malformed(String),
    /// It is an error, though the status said success.
    Error(Report),
}

/// One frame of a stream: a server-sent event, or a line of JSON.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The event's name, where there is one.
    pub event: Option<&'a str>,
    /// Its data.
    pub data: &'a str,
}

/// Whether an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It does.
    More,
    /// It is complete; what follows is not looked at.
    Complete,
}

/// Reads the frames of one streamed answer. It knows nothing of the bytes: however they were cut, the frames are the
/// same.
pub trait Decode: Send {
    /// Takes a frame and appends what it says.
    ///
    /// # Errors
    /// When the frame is an error or cannot be understood.
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<Step, NotAReply>;

    /// Takes note of the stream's end. A dialect without an end marker says here whether the answer was complete.
    ///
    /// # Errors
    /// As [`Decode::frame`].
    fn end(&mut self, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        let _ = out;
        Ok(Step::More)
    }

    /// Whether the answer itself is complete, and only usage or the end marker is awaited: then [`Decode::end`] may be
    /// called though the stream goes on.
    fn is_finishing(&self) -> bool {
        false
    }
}

/// Writes one streamed answer.
///
/// What ends the answer (the finish reasons, the usage) is kept back until [`Encode::finish`], because the cost goes
/// with it.
pub trait Encode: Send {
    /// Takes an event and appends whole frames.
    fn event(&mut self, event: Event, out: &mut Vec<u8>);

    /// Ends the answer: the finish frames, with the meta block (`"key":{…}`) in one of them, and the end marker.
    fn finish(&mut self, meta: &[u8], out: &mut Vec<u8>);
}
