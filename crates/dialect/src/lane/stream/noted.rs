//! What an event of a translated stream says: for the account, and for whether the caller gets something with it.

use ir::chat::event::{Delta, Event, Opening};
use ir::money::ServiceTier;

use crate::lane::reply::{finish_name, foreign, said};
use crate::passed::Passed;

/// Whether a caller gets something with an event. A part that merely begins says nothing yet; one that carries something
/// does.
pub(super) fn has_content(event: &Event) -> bool {
    match event {
        Event::Opened { opening, .. } => matches!(opening, Opening::ToolCall { .. } | Opening::Foreign { .. }),
        Event::Delta { delta, .. } => length(delta) > 0,
        Event::Finished { finish, .. } => !finish_name(finish).is_empty(),
        Event::Started(_) | Event::Closed { .. } | Event::Logprobs { .. } | Event::Usage(_) | Event::Extras(_) => false,
    }
}

fn length(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Arguments(text) | Delta::Data(text) => text.len(),
        Delta::Signature(signature) => signature.text.len(),
        Delta::Citation(_) => 1,
        Delta::Foreign { delta, .. } => delta.as_str().len(),
    }
}

/// Takes note of what an event says, whether a caller gets it or not.
pub(super) fn note(passed: &mut Passed, event: &Event) {
    match event {
        Event::Started(started) => {
            passed.id = Some(started.id.clone()).filter(|id| !id.is_empty());
            passed.begun = started.usage.or(passed.begun);
            passed.service_tier = started.service_tier.as_deref().map(ServiceTier::of_name);
        }
        Event::Opened { opening: Opening::ToolCall { name, .. }, .. } => passed.content_bytes += name.len() as u64,
        Event::Opened { opening: Opening::Foreign { block, .. }, .. } => {
            passed.content_bytes += foreign(block.as_str()) as u64;
        }
        Event::Delta { delta, .. } => passed.content_bytes += said(delta) as u64,
        Event::Finished { finish, .. } => {
            // One without a word is the end of a stream that gave no reason.
            if passed.finish_reason.is_none() {
                passed.finish_reason = Some(finish_name(finish).to_owned()).filter(|reason| !reason.is_empty());
            }
        }
        Event::Usage(usage) => passed.report(*usage),
        Event::Opened { .. } | Event::Closed { .. } | Event::Logprobs { .. } | Event::Extras(_) => {}
    }
}
