//! Fetches what a request names by URL, for a provider that wants the data itself.

use dialect::lane::asked::Asked;
use ir::chat::message::Source;
use ir::dialect::Dialect;
use ir::failure::Failure;
use upstream::failure::AttemptFailure;
use upstream::fetch::{Fetcher, media};
use upstream::target::Target;

use super::Run;

/// The most URLs that are fetched for one request.
const MAX_URLS: usize = 32;

/// The most base64 that they may amount to.
const MAX_TOTAL_BYTES: usize = 64 << 20;

/// Puts data in the place of the URLs that a target cannot use.
pub(super) async fn inline(run: &Run<'_>, request: &mut Asked, target: &Target) -> Result<(), AttemptFailure> {
    if !matches!(target.dialect, Dialect::Gemini | Dialect::Ollama) {
        return Ok(());
    }
    let request = request.canonical().map_err(AttemptFailure::refused)?;
    let mut urls = Vec::new();
    request.each_source(&mut |source| match source {
        Source::Url(url) if !knows(target.dialect, url) && !urls.contains(url) => urls.push(url.clone()),
        _ => {}
    });
    if urls.len() > MAX_URLS {
        let failure = Failure::invalid("messages", format!("more than {MAX_URLS} URLs are to be fetched"));
        return Err(AttemptFailure::refused(failure));
    }
    let gateway = &run.worker.gateway;
    let fetcher = Fetcher {
        connector: &*run.worker.connector,
        allow_private: gateway.options.fetch_private,
        user_agent: "crossway",
    };
    let mut total = 0;
    for url in urls {
        let found = media(fetcher, &url, run.deadline)
            .await
            .map_err(|failure| AttemptFailure::refused(failure.with_param("messages")))?;
        total += found.data.len();
        if total > MAX_TOTAL_BYTES {
            let failure = Failure::invalid("messages", "the URLs lead to more than 48 MiB together");
            return Err(AttemptFailure::refused(failure));
        }
        request.each_source(&mut |source| {
            if matches!(source, Source::Url(named) if *named == url) {
                *source = Source::Base64 { media_type: found.media_type.clone(), data: found.data.clone() };
            }
        });
    }
    Ok(())
}

/// Whether a provider fetches a URL itself: Gemini knows its own files, Google's storage and YouTube
/// (<https://ai.google.dev/gemini-api/docs/video-understanding>).
fn knows(dialect: Dialect, url: &str) -> bool {
    const OWN: [&str; 5] = [
        "gs://",
        "https://generativelanguage.googleapis.com/",
        "https://www.youtube.com/",
        "https://youtube.com/",
        "https://youtu.be/",
    ];
    dialect == Dialect::Gemini && OWN.iter().any(|start| url.starts_with(start))
}
