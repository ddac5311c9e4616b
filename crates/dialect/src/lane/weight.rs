//! How many input tokens a request may amount to, before anybody has counted them.
//!
//! Two figures: an estimate, for limits on tokens, and a bound, for limits on money. No token is shorter than a byte, so
//! that the bytes of the body bound what is written in it; what it only refers to (a picture by its address, a file by
//! its id, what a tool of the provider reads) is added, and what is sent in base64 weighs what a picture or a document
//! weighs, however few bytes it has.

mod plain;
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

/// How far from its marker the data and the media type of a blob are looked for.
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
    let mut text = body.len() as u64;
    // A provider reads a word however it is spelled.
    let body = &*plain::plain(body);
    let words = Words::of(body);
    let mut weight =
        Weight { audio: words.sound, caches: words.caches, searches: words.searches > 0, ..Weight::default() };
    let (mut end, mut seen, mut quote) = (0, 0, None);
    for marker in words::blobs(body) {
        let between = body.get(seen..marker).unwrap_or_default();
        quote = memchr::memrchr(b'"', between).map(|at| seen + at).or(quote);
        seen = marker;
        // The next blob is looked for behind this one.
        if marker < end {
            continue;
        }
        let Some(blob) = blob(body, marker, quote) else {
            let hidden = if is_hidden(body, marker) { DOCUMENT_BOUND } else { 0 };
            weight.add(0, hidden);
            continue;
        };
        end = blob.end;
        let length = (end - blob.start) as u64;
        let (estimate, bound) = if blob.is(b"image/") {
            weight.images = true;
            (PICTURE.min(length), PICTURE_BOUND)
        } else if !(blob.is(b"audio/") || blob.is(b"text/")) {
            (length / BLOB_BYTES_PER_TOKEN, DOCUMENT_BOUND.max(length))
        } else if length >= SHORT {
            (length / BLOB_BYTES_PER_TOKEN, length)
        } else {
            continue;
        };
        text -= length;
        weight.add(estimate, bound);
    }
    let books = words.addresses.min(words.documents);
    let pictures = words.addresses - books;
    weight.images |= words.addresses > 0;
    let documents = words.files + words.searches + words.remote + books;
    weight.add(pictures * PICTURE + documents * DOCUMENT, pictures * PICTURE_BOUND + documents * DOCUMENT_BOUND);
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

/// Something in base64.
struct Blob<'a> {
    /// What it is, as it says itself: its media type and what follows; empty where it does not say.
    kind: &'a [u8],
    /// Where its data stand.
    start: usize,
    end: usize,
}

impl Blob<'_> {
    fn is(&self, kind: &[u8]) -> bool {
        self.kind.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
    }
}

/// Returns the blob whose marker was found: `data:image/png;base64,…` in one string, or `"type":"base64"` with a `"data"`
/// behind it. `quote` is the last quote before the marker.
fn blob(body: &[u8], marker: usize, quote: Option<usize>) -> Option<Blob<'_>> {
    let rest = body.get(marker..)?;
    let (kind, start) = if rest.starts_with(b"base64,") {
        let (outside, inside) = body.get(..marker)?.split_at_checked(quote?)?;
        let (scheme, kind) = inside.split_at_checked(b"\"data:".len())?;
        // An address within a text is read as text.
        if outside.ends_with(b"\\") || !scheme.eq_ignore_ascii_case(b"\"data:") {
            return None;
        }
        (kind, marker + b"base64,".len())
    } else {
        let near = rest.get(..rest.len().min(LABEL_BYTES))?;
        let name = memmem::find(near, b"\"data\"")? + b"\"data\"".len();
        let start = marker + name + value_of(near.get(name..)?)?;
        (media_type(body.get(marker.saturating_sub(LABEL_BYTES)..start)?), start)
    };
    let end = start + memchr::memchr(b'"', body.get(start..)?)?;
    Some(Blob { kind, start, end })
}

/// Returns where the text of a member begins, counted from the end of its name.
fn value_of(behind: &[u8]) -> Option<usize> {
    let value = behind.iter().position(|byte| !matches!(byte, b' ' | b':' | b'\n' | b'\t' | b'\r'))?;
    (behind.get(value) == Some(&b'"')).then_some(value + 1)
}

/// Returns what the last `"media_type"` says in the object whose data follow; empty without one.
fn media_type(before: &[u8]) -> &[u8] {
    const NAME: &[u8] = b"\"media_type\"";
    let own = before.get(memchr::memrchr(b'{', before).unwrap_or(0)..).unwrap_or_default();
    let behind = memmem::rfind(own, NAME).and_then(|at| own.get(at + NAME.len()..)).unwrap_or_default();
    value_of(behind).and_then(|at| behind.get(at..)).unwrap_or_default()
}

/// Whether a marker says `"type":"base64"` of data that do not stand close behind it.
fn is_hidden(body: &[u8], marker: usize) -> bool {
    let Some((before, rest)) = body.split_at_checked(marker) else { return false };
    let named = || before.strip_suffix(b"\"")?.trim_ascii_end().strip_suffix(b":");
    rest.starts_with(b"base64\"") && named().is_some_and(|name| name.trim_ascii_end().ends_with(b"\"type\""))
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
    fn no_spelling_makes_it_lighter() {
        let heavy = |body: &str, least: u64| {
            let bound = weigh(body.as_bytes()).bound;
            assert!((least..least + 1_000).contains(&bound), "{bound}: {body}");
        };
        for picture in [
            r#"{"image_url":{"url":"\u0068ttps://example.com/cat.png"}}"#,
            r#"{"image\u005furl":{"u\u0072l":"https://example.com/cat.png"}}"#,
            r#"{"image_url":{"url":"HTTPS:\/\/example.com/cat.png"}}"#,
            r#"{"url":"data:image\/png;b\u0061se64,QUFB"}"#,
            r#"{"url":"DATA:Image/png;base64,QUFB"}"#,
        ] {
            heavy(picture, PICTURE_BOUND);
            assert!(weigh(picture.as_bytes()).images, "{picture}");
        }
        let long = format!(r#"{{"url":"data:application/pdf;name={};base64,QUFB"}}"#, "x".repeat(500));
        let apart = format!(r#"{{"type" : "base64",{}"media_type":"application/pdf","data":"QUFB"}}"#, " ".repeat(200));
        for document in [
            long.as_str(),
            apart.as_str(),
            r#"{"file\u005fid":"file-1"}"#,
            r#"{"type":"web\u005fsearch"}"#,
            // What stands before it says nothing of it.
            r#"[{"text":"image/"},{"source":{"type":"base64","media_type":"application/pdf","data":"QUFB"}}]"#,
            r#"[{"text":"text/ audio/"},{"source":{"type":"base64","data":"QUFB","media_type":"application/pdf"}}]"#,
            r#"{"file_data":"data:application/pdf;x=image/text/;base64,QUFB"}"#,
            // What is only named is as long as what is sent.
            r#"{"file":{"file_data":"https://example.com/book.pdf"}}"#,
            r#"{"source":{"type":"url","url":"https://example.com/book.pdf"},"type":"document"}"#,
            r#"{"type":"video_url","video_url":{"url":"https://example.com/film.mp4"}}"#,
            // Nor does the order of the members matter.
            r#"{"source":{"media_type":"application/pdf","data":"QUFB","type":"base64"}}"#,
        ] {
            heavy(document, DOCUMENT_BOUND);
        }
        assert!(weigh(br#"{"type":"input\u005faudio"}"#).audio && weigh(br#"{"cache\u005fcontrol":{}}"#).caches);
        // A backslash that is escaped escapes nothing, and text stays text.
        for text in [
            r#"{"content":"\\u0062ase64 \u00e9 \u0022url\u0022:\u0022http"}"#,
            r#"{"content":"the \"type\":\"base64\" of it, \"data:image/png;base64,QUFB\""}"#,
            r#"{"enum":["base64","utf8"],"contentEncoding":"base64"}"#,
        ] {
            assert_eq!(weigh(text.as_bytes()).bound, text.len() as u64, "{text}");
        }
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
