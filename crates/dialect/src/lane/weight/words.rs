//! The words in a request's body that say of what kind its input is, found without a pass for each.
//!
//! All of them but `base64` have a quote or an underscore at a known place, and in a long text these are rare: then one
//! pass looks at them alone. Where they are not rare (code, the schemas of tools), each word is searched for.

use std::sync::LazyLock;

use memchr::memchr2_iter;
use memchr::memmem::Finder;

/// One quote or underscore among so many bytes is rare: to look at each takes no longer than the passes it saves.
const RARE: usize = 128;

/// So many are few, however short the text is.
const FEW: usize = 40;

/// The name of a file that the provider has.
const FILE: &[u8] = b"\"file_id\"";

/// What the words in a body say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// `input_audio` or `"audio"` stands in it.
    pub sound: bool,
    /// `cache_control` stands in it.
    pub caches: bool,
    /// `"tools"` or `"functions"` stands in it.
    pub tools: bool,
    /// How often the name of a tool does that the provider runs itself: `web_search`, `google_search`, `file_search`,
    /// `browser_search`, `code_interpreter`, `mcp_servers`, and Anthropic's with their dates, such as `web_fetch_20250910`.
    pub searches: u64,
    /// How often `"file_id"` does.
    pub files: u64,
    /// How often an address does that is a picture's or a document's: `"url":"https://…"`, `"image_url":"https://…"`.
    pub addresses: u64,
    /// How often an address stands where a file's data are expected: `"file_data":"https://…"`.
    pub remote: u64,
    /// How often `"document` and `"video` do: so many of the addresses may not be pictures.
    pub documents: u64,
}

/// To make ready for a word takes longer than to look through a short body for it, so that it is done once.
struct Finders {
    sound: Finder<'static>,
    caches: Finder<'static>,
    tools: Finder<'static>,
    functions: Finder<'static>,
    searches: Finder<'static>,
    servers: Finder<'static>,
    interpreters: Finder<'static>,
    dates: Finder<'static>,
    files: Finder<'static>,
    addresses: Finder<'static>,
    remote: Finder<'static>,
    documents: Finder<'static>,
    videos: Finder<'static>,
    blobs: Finder<'static>,
}

static FINDERS: LazyLock<Finders> = LazyLock::new(|| Finders {
    sound: Finder::new("audio"),
    caches: Finder::new("cache_control"),
    tools: Finder::new("\"tools\""),
    functions: Finder::new("\"functions\""),
    searches: Finder::new("_search"),
    servers: Finder::new("mcp_servers"),
    interpreters: Finder::new("code_interpreter"),
    dates: Finder::new("_20"),
    files: Finder::new(FILE),
    addresses: Finder::new("url\""),
    remote: Finder::new("_data\""),
    documents: Finder::new("\"document"),
    videos: Finder::new("\"video"),
    blobs: Finder::new("base64"),
});

/// Returns where `base64` stands in a body.
pub(super) fn blobs(body: &[u8]) -> impl Iterator<Item = usize> {
    FINDERS.blobs.find_iter(body)
}

impl Words {
    /// Looks through a body.
    pub(super) fn of(body: &[u8]) -> Self {
        Self::by_places(body, FEW + body.len() / RARE).unwrap_or_else(|| Self::by_words(body))
    }

    /// Looks at every quote and underscore; `None` when there are more than `most`.
    fn by_places(body: &[u8], most: usize) -> Option<Self> {
        // Of two that share a quote the first counts, as in a search.
        let (mut words, mut behind_file) = (Self::default(), 0);
        for (seen, at) in memchr2_iter(b'_', b'"', body).enumerate() {
            if seen >= most {
                return None;
            }
            let (before, rest) = body.split_at_checked(at)?;
            match rest.get(..2) {
                Some(b"_a") => words.sound |= before.ends_with(b"input") && rest.starts_with(b"_audio"),
                Some(b"\"a") => words.sound |= rest.starts_with(b"\"audio\""),
                Some(b"_c") => words.caches |= before.ends_with(b"cache") && rest.starts_with(b"_control"),
                Some(b"\"t") => words.tools |= rest.starts_with(b"\"tools\""),
                Some(b"_s") => {
                    let servers = before.ends_with(b"mcp") && rest.starts_with(b"_servers");
                    words.searches += u64::from(servers || is_search(before, rest));
                }
                Some(b"_i") => {
                    words.searches += u64::from(before.ends_with(b"code") && rest.starts_with(b"_interpreter"));
                }
                Some(b"_2") => words.searches += u64::from(is_dated(before, rest)),
                Some(b"\"d") => words.documents += u64::from(rest.starts_with(b"\"document")),
                Some(b"\"v") => words.documents += u64::from(rest.starts_with(b"\"video")),
                Some(b"\"f") => {
                    words.tools |= rest.starts_with(b"\"functions\"");
                    if at >= behind_file && rest.starts_with(FILE) {
                        words.files += 1;
                        behind_file = at + FILE.len();
                    }
                }
                Some([b'"', _]) => {
                    words.addresses += u64::from(before.ends_with(b"url") && is_address(rest));
                    words.remote += u64::from(before.ends_with(b"_data") && is_address(rest));
                }
                _ => {}
            }
        }
        Some(words)
    }

    /// Searches for each of the words.
    fn by_words(body: &[u8]) -> Self {
        let finders = &*FINDERS;
        let count = |finder: &Finder<'_>| finder.find_iter(body).count() as u64;
        let has = |finder: &Finder<'_>| finder.find(body).is_some();
        let around = |at| body.split_at_checked(at).unwrap_or_default();
        let is_sound = |at| {
            let (before, rest) = around(at);
            before.ends_with(b"input_") || (before.ends_with(b"\"") && rest.starts_with(b"audio\""))
        };
        let addresses = |finder: &Finder<'_>| {
            let quotes = finder.find_iter(body).map(|at| at + finder.needle().len() - 1);
            quotes.filter(|at| is_address(around(*at).1)).count() as u64
        };
        Self {
            sound: finders.sound.find_iter(body).any(is_sound),
            caches: has(&finders.caches),
            tools: has(&finders.tools) || has(&finders.functions),
            searches: finders.searches.find_iter(body).filter(|at| is_search(around(*at).0, around(*at).1)).count()
                as u64
                + finders.dates.find_iter(body).filter(|at| is_dated(around(*at).0, around(*at).1)).count() as u64
                + count(&finders.servers)
                + count(&finders.interpreters),
            files: count(&finders.files),
            addresses: addresses(&finders.addresses),
            remote: addresses(&finders.remote),
            documents: count(&finders.documents) + count(&finders.videos),
        }
    }
}

/// Whether a text that begins with an underscore ends the name of a search that a provider runs.
fn is_search(before: &[u8], rest: &[u8]) -> bool {
    const KINDS: [&[u8]; 4] = [b"web", b"google", b"browser", b"file"];
    rest.starts_with(b"_search") && KINDS.iter().any(|kind| before.ends_with(kind))
}

/// Whether a text that begins with an underscore is the date of a tool of Anthropic's that reads what the request does not
/// hold. A search is found by its own name.
fn is_dated(before: &[u8], rest: &[u8]) -> bool {
    const KINDS: [&[u8]; 2] = [b"web_fetch", b"code_execution"];
    rest.starts_with(b"_20") && KINDS.iter().any(|kind| before.ends_with(kind))
}

/// Whether what follows the end of a name, from its quote on, is an address.
fn is_address(rest: &[u8]) -> bool {
    let value =
        || rest.strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"");
    let scheme = value().and_then(|value| value.trim_ascii_start().get(..4));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8]) -> Words {
        let words = Words::by_words(body);
        let text = String::from_utf8_lossy(body);
        assert_eq!(Words::by_places(body, usize::MAX), Some(words), "{text}");
        assert_eq!(Words::of(body), words, "{text}");
        words
    }

    #[test]
    fn words_are_found_where_they_stand_whole() {
        let nothing = Words::default();
        for (text, expect) in [
            ("", nothing),
            ("audio, \"audio, audio\", input-audio, \"input\"_audio", nothing),
            ("\"audio\"", Words { sound: true, ..nothing }),
            ("an audio, \"input_audio", Words { sound: true, ..nothing }),
            ("_control cache_contro cache control", nothing),
            ("xcache_controlx", Words { caches: true, ..nothing }),
            ("tools functions \"tools \"function\"", nothing),
            ("\"tools\"", Words { tools: true, ..nothing }),
            ("\"functions\"", Words { tools: true, ..nothing }),
            ("web_searchweb_search_web_searc", Words { searches: 2, ..nothing }),
            ("my_search web_fetch code_execution_ text_editor_20250124 mcp_server interpreter", nothing),
            ("web_search_20250305 web_fetch_20250910", Words { searches: 2, ..nothing }),
            ("google_search code_execution_20250825 mcp_servers", Words { searches: 3, ..nothing }),
            ("file_search browser_search code_interpreter", Words { searches: 3, ..nothing }),
            ("\"file_id\"file_id\" \"file_id\"", Words { files: 2, ..nothing }),
            ("{\"url\" :\n\"https://a\",\"url\":\"data\",\"uri\":\"http\"}", Words { addresses: 1, ..nothing }),
            ("\"image_url\":{\"url\":\" HtTps://a", Words { addresses: 1, ..nothing }),
            ("\"file_data\": \"http://a", Words { remote: 1, ..nothing }),
            ("\"document\" \"document_url\":\"video\" document", Words { documents: 3, ..nothing }),
            ("\"http\" \"image_url\":\"http", Words { addresses: 1, ..nothing }),
        ] {
            assert_eq!(check(text.as_bytes()), expect, "{text}");
            assert_eq!(check([text, &"x".repeat(4_000)].concat().as_bytes()), expect, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn both_ways_find_the_same(pieces in proptest::collection::vec(0_usize..29, 0..40), prose in 0_usize..3_000) {
            const PIECES: [&str; 29] = [
                "input", "_", "audio", "\"", "cache", "control", "tool", "s", "function", "web", "search", "file", "id",
                "http", "url", ":", " ", "a", "\"url\":\"http", "base64",
                "20", "fetch", "code", "execution", "mcp", "servers", "_data\"", "\"document", "\"video",
            ];
            let text: String = pieces.iter().map(|at| PIECES[*at]).collect();
            check([text.as_str(), &"x".repeat(prose), &text].concat().as_bytes());
        }
    }
}
