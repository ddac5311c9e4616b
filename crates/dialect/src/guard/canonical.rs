//! Requests, replies and events in the canonical vocabulary: the translate lane, whichever dialects it joins.

pub mod reply;
pub mod request;
pub mod stream;

use ir::chat::response::Finish;

/// Whether an answer that ends so is a step on the way.
fn is_step(finish: &Finish) -> bool {
    matches!(finish, Finish::ToolCalls | Finish::Pause)
}

/// Returns why an answer ended that was cut. What says more than that stays; an answer that calls tools goes on with
/// them.
fn cut_finish(finish: Finish) -> Finish {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Other(_) => Finish::Length,
        Finish::Length
        | Finish::ContextWindow
        | Finish::ToolCalls
        | Finish::ContentFilter
        | Finish::Refusal
        | Finish::Pause => finish,
    }
}
