//! A buffered reply. It is the one line of a stream that is complete at once, and is read as that.

use ir::chat::fold::Fold;
use ir::chat::response::Response;

use crate::ollama::stream::decode::Decoder;
use crate::translate::{Decode, Frame, NotAReply, Step};

/// Reads a reply. `seed` makes ids of tool calls that have none.
///
/// # Errors
/// When it is no whole reply, or an error.
pub fn decode(body: &str, seed: &str) -> Result<Response, NotAReply> {
    let mut events = Vec::new();
    match Decoder::new(seed).frame(Frame { event: None, data: body.trim() }, &mut events)? {
        Step::Complete => {
            let mut fold = Fold::default();
            events.into_iter().for_each(|event| fold.push(event));
            Ok(fold.finish())
        }
        Step::More => Err(NotAReply::Malformed("the reply is not done".to_owned())),
    }
}

#[cfg(test)]
mod tests;
