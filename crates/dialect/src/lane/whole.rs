//! Answers in the other form than was asked for: providers exist that answer at once where a stream was asked for, and
//! others that stream where it was not. The caller gets the form that it asked for all the same.
//!
//! Both go through the canonical vocabulary, also where caller and provider speak the same dialect.

use ir::chat::event::Event;
use ir::chat::fold::Fold;
use ir::chat::response::{Choice, Finish, Response};
use ir::chat::unfold::unfold;
use ir::dialect::Dialect;

use super::opening::{self, Opening};
use super::stream::{ReplyStream, Translated};
use super::{Surface, decoder, reply};
use crate::frames::Frames;
use crate::translate::{Decode, Frame, Label, NotAReply, Step};

impl ReplyStream {
    /// Starts the stream that a provider's whole answer amounts to; the rest is as in [`ReplyStream::new`]. All of it is
    /// there with [`ReplyStream::end`].
    ///
    /// # Errors
    /// When the body is no reply, or one that says nothing.
    pub fn whole(
        surface: Surface,
        (dialect, body): (Dialect, &[u8]),
        meta_key: &str,
        first_meta: Vec<u8>,
        wants_usage: bool,
        label: &Label<'_>,
    ) -> Result<Self, NotAReply> {
        let mut response = reply::read(dialect, body, label.seed)?;
        // A provider that is a Crossway itself has its own meta block.
        response.extras.remove(meta_key);
        let ended = Finish::Other(String::new());
        if response.choices.iter().all(|Choice { parts, finish, .. }| parts.is_empty() && *finish == ended) {
            return Err(NotAReply::Malformed("the answer says nothing".to_owned()));
        }
        let from: (_, Box<dyn Decode>) = (dialect, Box::new(Whole(Some(response))));
        Ok(Self::Translated(Box::new(Translated::new(surface, from, first_meta, wants_usage, label))))
    }
}

/// An answer that came at once.
struct Whole(Option<Response>);

impl Decode for Whole {
    /// The answer has no frames.
    fn frame(&mut self, _: Frame<'_>, _: &mut Vec<Event>) -> Result<Step, NotAReply> {
        Ok(Step::More)
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        out.extend(self.0.take().into_iter().flat_map(unfold));
        Ok(Step::Complete)
    }
}

/// Reads the answer that a whole stream amounts to; `None` when the body is no stream, or one without its end.
///
/// # Errors
/// When the stream is an error, or cannot be understood.
pub(super) fn streamed(dialect: Dialect, body: &[u8], seed: &str) -> Result<Option<Response>, NotAReply> {
    if opening::judge(dialect, body) != Opening::Stream {
        return Ok(None);
    }
    let (mut frames, mut decoder) = (Frames::new(dialect), decoder(dialect, seed));
    let mut events = Vec::new();
    let mut step = frames.push(body, |frame| decoder.frame(frame, &mut events))?;
    if step == Step::More {
        step = frames.end(|frame| decoder.frame(frame, &mut events))?;
    }
    if step == Step::More {
        step = decoder.end(&mut events)?;
    }
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    let response = fold.finish();
    // An end marker alone is no answer.
    Ok(Some(response).filter(|response| step == Step::Complete && !response.choices.is_empty()))
}
