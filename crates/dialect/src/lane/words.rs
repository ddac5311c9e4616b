//! What a caller calls the things that are named to it: parameters that were dropped, the place of what is refused.
//!
//! The canonical vocabulary has OpenAI's names, and keeps Anthropic's system prompt as the first message.

use ir::failure::Failure;

use super::Surface;

/// Returns the name that a surface has for a parameter.
pub(super) fn name(surface: Surface, name: String) -> String {
    if surface == Surface::OpenaiChat {
        return name;
    }
    match name.as_str() {
        "user" => "metadata.user_id".to_owned(),
        "stop" => "stop_sequences".to_owned(),
        "reasoning" => "thinking".to_owned(),
        "reasoning_effort" => "output_config.effort".to_owned(),
        "parallel_tool_calls" => "tool_choice.disable_parallel_tool_use".to_owned(),
        "response_format" => "output_config.format".to_owned(),
        _ => name,
    }
}

/// Returns a failure whose field is the caller's. `prompted` says that the first message was its system prompt.
pub(super) fn failure(surface: Surface, prompted: bool, failure: Failure) -> Failure {
    if surface == Surface::OpenaiChat {
        return failure;
    }
    let Some(param) = failure.param else { return failure };
    let own = match place(&param) {
        Some((at, rest)) if prompted => own(at, rest),
        _ => name(surface, param.clone()),
    };
    // Where the message names a place, it is this one.
    let message = if place(&param).is_some() { failure.message.replace(&param, &own) } else { failure.message };
    Failure { param: Some(own), message, ..failure }
}

/// Splits `messages[3].content[1]` into 3 and `.content[1]`.
fn place(param: &str) -> Option<(usize, &str)> {
    let (at, rest) = param.strip_prefix("messages[")?.split_once(']')?;
    Some((at.parse().ok()?, rest))
}

fn own(at: usize, rest: &str) -> String {
    match at.checked_sub(1) {
        Some(at) => format!("messages[{at}]{rest}"),
        None => rest.strip_prefix(".content").map_or("system".to_owned(), |rest| format!("system{rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(surface: Surface, prompted: bool, param: &str, expect: &str) {
        let found = failure(surface, prompted, Failure::invalid(param, "m"));
        assert_eq!(found.param.as_deref(), Some(expect), "{param}");
    }

    #[test]
    fn a_place_is_the_callers() {
        check(Surface::OpenaiChat, true, "messages[2].content[1]", "messages[2].content[1]");
        check(Surface::AnthropicMessages, false, "messages[2].content[1]", "messages[2].content[1]");
        check(Surface::AnthropicMessages, true, "messages[2].content[1]", "messages[1].content[1]");
        check(Surface::AnthropicMessages, true, "messages[0].content[1]", "system[1]");
        check(Surface::AnthropicMessages, true, "messages[0]", "system");
        check(Surface::AnthropicMessages, true, "messages", "messages");
        check(Surface::AnthropicCount, true, "stop", "stop_sequences");
        let told = failure(Surface::AnthropicMessages, true, Failure::invalid("messages[1]", "no messages[1] here"));
        assert_eq!(told.message, "no messages[0] here");
    }
}
