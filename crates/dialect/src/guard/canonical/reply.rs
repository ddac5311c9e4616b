//! A whole answer in the canonical vocabulary.

use ir::chat::message::{Content, Part};
use ir::chat::response::{Choice, Response};
use ir::guard::{Blocked, Interruption, Watch};

use super::{cut_finish, is_step};

/// Judges an answer: it is cut where it is too long, and what is missing is appended. `fresh` is the watch of a choice
/// that nothing was seen of.
///
/// # Errors
/// When it is blocked.
pub fn judge<W: Watch + Clone>(response: &mut Response, fresh: &W) -> Result<(), Blocked> {
    response.choices.iter_mut().try_for_each(|choice| judge_choice(choice, fresh.clone()))
}

fn judge_choice(choice: &mut Choice, mut watch: impl Watch) -> Result<(), Blocked> {
    let mut blocked = None;
    choice.parts.retain_mut(|part| match &mut part.content {
        Content::Text { text, .. } | Content::Refusal(text) => match watch.push(text) {
            Ok(stays) => {
                // A part of which nothing stays goes: nobody may send an empty one back to the provider.
                let goes = stays == 0 && !text.is_empty();
                text.truncate(stays);
                !goes
            }
            Err(found) => {
                blocked.get_or_insert(found);
                true
            }
        },
        Content::ToolCall(_) => {
            watch.interrupt(Interruption::ToolCall);
            true
        }
        _ => {
            watch.interrupt(Interruption::Other);
            true
        }
    });
    if let Some(blocked) = blocked {
        return Err(blocked);
    }
    if is_step(&choice.finish) {
        watch.interrupt(Interruption::ToolCall);
    }
    if let Some(more) = watch.end()? {
        match choice.parts.last_mut().map(|part| &mut part.content) {
            Some(Content::Text { text, .. } | Content::Refusal(text)) => text.push_str(&more),
            _ => choice.parts.push(Part::text(more)),
        }
    }
    if watch.is_cut() {
        choice.finish = cut_finish(choice.finish.clone());
        choice.logprobs = None;
    }
    Ok(())
}
