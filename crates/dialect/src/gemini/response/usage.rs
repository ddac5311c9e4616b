//! What was consumed: <https://ai.google.dev/api/generate-content#UsageMetadata>.

use ir::usage::Usage;

use crate::json::object::{Object, Path};

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// Reads `usageMetadata` into disjoint buckets; `None` when it says nothing that can be believed.
///
/// The prompt counts what was cached; what tools added to it, and thoughts, are counted apart from it and from the
/// answer. A part that exceeds its whole is cut to it. A prompt that is not counted is what the total leaves over. What
/// nobody names of the total beside a prompt is thought: some models leave out that count.
pub(in super::super) fn usage(text: &str) -> Option<Usage> {
    let mut object = Object::read(text, Path::default()).ok()?.in_camel_case().ok()?;
    let mut unreadable = false;
    let mut number = |name| {
        let number = object.integer(name);
        unreadable |= number.as_ref().is_ok_and(|number| number.is_some_and(|number| number > ABSURD_TOKENS));
        unreadable |= number.is_err();
        number.ok().flatten()
    };
    let (prompt, total) = (number("promptTokenCount"), number("totalTokenCount"));
    let cached = number("cachedContentTokenCount").unwrap_or(0);
    let output = number("candidatesTokenCount").unwrap_or(0);
    let reasoning = number("thoughtsTokenCount").unwrap_or(0);
    let tools = number("toolUsePromptTokenCount").unwrap_or(0);
    if unreadable {
        return None;
    }
    let prompt = match (prompt, total) {
        (Some(prompt), _) => prompt,
        (None, Some(total)) => total.saturating_sub(output).saturating_sub(reasoning).saturating_sub(tools),
        (None, None) => return None,
    };
    let named = prompt.saturating_add(output).saturating_add(reasoning).saturating_add(tools);
    let reasoning = reasoning.saturating_add(total.unwrap_or(0).saturating_sub(named));
    let cached_input = cached.min(prompt);
    let [cached_audio, _] = apart(&mut object, "cacheTokensDetails");
    // Images in a prompt cost what text does; cached ones are told apart for audio alone.
    let [prompt_audio, _] = apart(&mut object, "promptTokensDetails");
    let audio_input = prompt_audio.saturating_sub(cached_audio).min(prompt - cached_input);
    let [audio_output, image_output] = apart(&mut object, "candidatesTokensDetails");
    let audio_output = audio_output.min(output);
    let image_output = image_output.min(output - audio_output);
    Some(Usage {
        input: (prompt - cached_input - audio_input).saturating_add(tools),
        cached_input,
        output: output - audio_output - image_output,
        reasoning,
        audio_input,
        audio_output,
        image_output,
        ..Usage::default()
    })
}

/// Returns the tier of service that a usage report names.
pub(in super::super) fn service_tier(text: &str) -> Option<String> {
    Object::read(text, Path::default()).ok()?.in_camel_case().ok()?.text("serviceTier").ok()?
}

/// Returns the tokens of audio and of images among the modalities (by name, or by number as in the protocol).
fn apart(object: &mut Object<'_>, name: &'static str) -> [u64; 2] {
    let [mut audio, mut image] = [0u64; 2];
    for text in object.list(name).ok().flatten().unwrap_or_default() {
        let entry = Object::read(text, Path::default()).and_then(Object::in_camel_case);
        let Ok(mut entry) = entry else { continue };
        let sum = match entry.take("modality") {
            Some("\"AUDIO\"" | "4") => &mut audio,
            Some("\"IMAGE\"" | "2") => &mut image,
            _ => continue,
        };
        *sum = sum.saturating_add(entry.integer("tokenCount").ok().flatten().unwrap_or(0));
    }
    [audio, image]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<[u64; 6]>) {
        let found = usage(text).map(|usage| {
            assert_eq!(usage.cache_write, 0);
            [usage.input, usage.cached_input, usage.audio_input, usage.output, usage.reasoning, usage.audio_output]
        });
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn buckets_are_disjoint() {
        check(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":9,"thoughtsTokenCount":5,
                "toolUsePromptTokenCount":7,"totalTokenCount":121,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":30}],
                "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}],
                "candidatesTokensDetails":[{"modality":4,"tokenCount":2}]}"#,
            Some([27, 60, 20, 7, 5, 2]),
        );
        check(r#"{"promptTokenCount":3}"#, Some([3, 0, 0, 0, 0, 0]));
        check(r#"{"totalTokenCount":20,"candidatesTokenCount":5,"thoughtsTokenCount":6}"#, Some([9, 0, 0, 5, 6, 0]));
        check(r#"{"promptTokenCount":3,"cachedContentTokenCount":9}"#, Some([0, 3, 0, 0, 0, 0]));
        check(r#"{"promptTokenCount":10,"totalTokenCount":22}"#, Some([10, 0, 0, 0, 12, 0]));
        let unnamed = r#"{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":2,"totalTokenCount":20}"#;
        check(unnamed, Some([10, 0, 0, 5, 5, 0]));
    }

    #[test]
    fn images_have_a_price_of_their_own() {
        let text = r#"{"promptTokenCount":9,"candidatesTokenCount":1300,
            "promptTokensDetails":[{"modality":"IMAGE","tokenCount":5}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290},{"modality":"TEXT","tokenCount":10}]}"#;
        let found = usage(text).unwrap();
        assert_eq!((found.input, found.output, found.image_output, found.output_tokens()), (9, 10, 1290, 1300));
    }

    #[test]
    fn lies_are_not_believed() {
        check(r#"{"trafficType":"ON_DEMAND"}"#, None);
        check(r#"{"promptTokenCount":-1}"#, None);
        check(r#"{"promptTokenCount":1,"thoughtsTokenCount":99999999999}"#, None);
        check(r#"{"promptTokenCount":"1"}"#, None);
        check("7", None);
    }
}
