//! How many input tokens a request may amount to, before anybody has counted them.
//!
//! Two figures: an estimate, for limits on tokens, and a bound, for limits on money. No token is shorter than a byte, so
//! that the bytes of the body bound what is written in it; what it only refers to (a picture by its address, a file by
//! its id, what a tool of the provider reads) is added, and what is sent in base64 weighs what a picture or a document
//! weighs, however few bytes it has.

mod words;

use memchr::memmem;

use self::words::Words;

/// The most tokens that a picture costs anywhere: 2,833 and 8 tiles of 5,667 each
/// (<https://platform.openai.com/docs/guides/images-vision#calculating-costs>, `gpt-4o-mini`).
const PICTURE_BOUND: u64 = 50_000;

/// What a picture of middling size costs with most models.
const PICTURE: u64 = 1_600;

/// The most that a document or what a tool of the provider reads is taken for: the context windows of most models. A page
/// of a document costs up to 3,000 tokens and may have a few bytes
/// (<https://docs.claude.com/en/docs/build-with-claude/pdf-support#estimate-your-costs>).
const DOCUMENT_BOUND: u64 = 200_000;

/// What a document of a few pages has.
const DOCUMENT: u64 = 8_000;

/// What a provider tells its model about tools in general: up to 530 tokens
/// (<https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview#pricing>), more for some of its own.
const TOOLS: u64 = 1_024;

/// Input that a provider may add to a request beyond its bound: a system prompt of its own, what it tells a model about
/// citations and schemas, an agent's first steps. Nothing is reserved for it, and a report may say so much more: 21 of
/// 2,192 recorded ones say more, 5,483 at most (`groq/compound`).
pub const ADDED_TOKENS: u64 = 8_192;

/// How often a provider that runs tools itself may ask its model for one answer. In each round it may write as much as the
/// caller allows (<https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview#server-tools>).
pub const ROUNDS: u64 = 10;

/// The bytes of base64 for a token of sound or of a printed page, about.
const BLOB_BYTES_PER_TOKEN: u64 = 40;

/// Sound and texts in base64 that are shorter are counted as text.
const SHORT: u64 = 256;

/// How far before its data a blob says what it is.
const LABEL_BYTES: usize = 160;

/// How much a request weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// The input tokens that are likely.
    pub estimate: u64,
    /// The input tokens that it cannot have more of.
    pub bound: u64,
    /// Whether sound is sent or asked for, which has prices of its own.
    pub audio: bool,
    /// Whether pictures are sent.
    pub images: bool,
    /// Whether the provider is told to cache.
    pub caches: bool,
    /// Whether the provider may search, or runs other tools of its own.
    pub searches: bool,
}

/// Weighs the body of a request.
pub fn weigh(body: &[u8]) -> Weight {
    let words = Words::of(body);
    let mut weight =
        Weight { audio: words.sound, caches: words.caches, searches: words.searches > 0, ..Weight::default() };
    let (mut text, mut at) = (body.len() as u64, 0);
    for marker in words::blobs(body) {
        // The next blob is looked for behind this one.
        if marker < at {
            continue;
        }
        let Some((start, end)) = blob(body, marker) else { continue };
        at = end;
        let length = (end - start) as u64;
        let label = body.get(marker.saturating_sub(LABEL_BYTES)..start).unwrap_or_default();
        let (estimate, bound) = if has(label, b"image/") {
            weight.images = true;
            (PICTURE.min(length), PICTURE_BOUND)
        } else if !(has(label, b"audio/") || has(label, b"text/")) {
            (length / BLOB_BYTES_PER_TOKEN, DOCUMENT_BOUND.max(length))
        } else if length >= SHORT {
            (length / BLOB_BYTES_PER_TOKEN, length)
        } else {
            continue;
        };
        text -= length;
        weight.add(estimate, bound);
    }
    weight.images |= words.pictures > 0;
    let documents = words.files + words.searches;
    weight.add(
        words.pictures * PICTURE + documents * DOCUMENT,
        words.pictures * PICTURE_BOUND + documents * DOCUMENT_BOUND,
    );
    if words.tools {
        weight.add(0, TOOLS);
    }
    weight.add(ir::usage::estimate_tokens(text), text);
    weight
}

impl Weight {
    fn add(&mut self, estimate: u64, bound: u64) {
        self.estimate = self.estimate.saturating_add(estimate);
        self.bound = self.bound.saturating_add(bound);
    }
}

/// Returns where a blob stands whose marker was found: `data:image/png;base64,…` in one string, or `"type":"base64"`
/// with a `"data"` beside it.
fn blob(body: &[u8], marker: usize) -> Option<(usize, usize)> {
    let rest = body.get(marker..)?;
    let start = if rest.starts_with(b"base64,") {
        // An address within a text is read as text.
        let before = body.get(marker.saturating_sub(LABEL_BYTES)..marker)?;
        let (outside, inside) = before.split_at_checked(memchr::memrchr(b'"', before)?)?;
        if outside.ends_with(b"\\") || !inside.starts_with(b"\"data:") {
            return None;
        }
        marker + b"base64,".len()
    } else {
        let near = rest.get(..rest.len().min(LABEL_BYTES))?;
        let name = memmem::find(near, b"\"data\"")? + b"\"data\"".len();
        let value = near.get(name..)?.iter().position(|byte| !matches!(byte, b' ' | b':' | b'\n' | b'\t' | b'\r'))?;
        if near.get(name + value) != Some(&b'"') {
            return None;
        }
        marker + name + value + 1
    };
    let end = start + memchr::memchr(b'"', body.get(start..)?)?;
    Some((start, end))
}

fn has(text: &[u8], what: &[u8]) -> bool {
    memmem::find(text, what).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, estimate: u64, bound: u64) {
        let weight = weigh(body.as_bytes());
        assert_eq!((weight.estimate, weight.bound), (estimate, bound), "{body:.200}");
    }

    #[test]
    fn text_weighs_its_bytes() {
        check("", 0, 0);
        check(r#"{"messages":[{"role":"user","content":"hi"}]}"#, 12, 45);
        check(r#"{"tools":[]}"#, 3, 12 + TOOLS);
        check(r#"the word base64, and "data": here"#, 9, 33);
    }

    #[test]
    fn a_picture_weighs_what_a_picture_weighs() {
        let data = "A".repeat(400_000);
        let openai = format!(r#"{{"url":"data:image/png;base64,{data}"}}"#);
        let around = (openai.len() - data.len()) as u64;
        check(&openai, PICTURE + around.div_ceil(4), PICTURE_BOUND + around);
        let anthropic = format!(r#"{{"type": "base64", "media_type": "image/png", "data": "{data}"}}"#);
        let around = (anthropic.len() - data.len()) as u64;
        check(&anthropic, PICTURE + around.div_ceil(4), PICTURE_BOUND + around);
        let two = format!("[{openai},{openai}]");
        let around = (two.len() - 2 * data.len()) as u64;
        check(&two, 2 * PICTURE + around.div_ceil(4), 2 * PICTURE_BOUND + around);
        // The smallest picture costs as much as a large one at some providers.
        let small = format!(r#"{{"url":"data:image/png;base64,{}"}}"#, "A".repeat(30));
        let around = (small.len() - 30) as u64;
        check(&small, 30 + around.div_ceil(4), PICTURE_BOUND + around);
        // One within a text is read as text.
        let text = format!(r#"{{"content":"<img src=\"data:image/png;base64,{}\">"}}"#, "A".repeat(300));
        check(&text, (text.len() as u64).div_ceil(4), text.len() as u64);
    }

    #[test]
    fn other_blobs_weigh_less_than_their_bytes() {
        let data = "A".repeat(40_000);
        let sound = format!(r#"{{"url":"data:audio/wav;base64,{data}"}}"#);
        let around = (sound.len() - data.len()) as u64;
        check(&sound, 1_000 + around.div_ceil(4), 40_000 + around);
        let short = r#"{"url":"data:text/plain;base64,QUFB"}"#;
        check(short, (short.len() as u64).div_ceil(4), short.len() as u64);
    }

    #[test]
    fn a_document_has_more_pages_than_one_can_tell() {
        let check_document = |label: &str, length: usize| {
            let data = "A".repeat(length);
            let document = format!(r#"{{"file_data":"data:{label};base64,{data}"}}"#);
            let around = (document.len() - length) as u64;
            let length = length as u64;
            check(&document, length / 40 + around.div_ceil(4), DOCUMENT_BOUND.max(length) + around);
        };
        check_document("application/pdf", 400);
        check_document("application/pdf", 40_000);
        check_document("application/pdf", 400_000);
        check_document("video/mp4", 40_000);
    }

    #[test]
    fn what_is_only_named_has_weight() {
        let around = |text: &str| (text.len() as u64).div_ceil(4);
        let url = r#"{"image_url":{"url": "https://example.com/cat.png"}}"#;
        check(url, PICTURE + around(url), PICTURE_BOUND + url.len() as u64);
        let file = r#"{"file_id":"file-1"}"#;
        check(file, DOCUMENT + around(file), DOCUMENT_BOUND + file.len() as u64);
        let text = r#"{"content":"https://example.com is my site"}"#;
        check(text, around(text), text.len() as u64);
        assert!(weigh(br#"{"modalities":["text","audio"]}"#).audio && !weigh(br#"{"content":"an audio"}"#).audio);
    }
}
