//! Files that the provider fetches by itself.

/// Whether the provider has the file: in its own store, in Google's cloud, or on YouTube
/// (<https://ai.google.dev/gemini-api/docs/file-input-methods>).
pub(super) fn is_known(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.starts_with("files/") };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match scheme {
        "gs" => true,
        "http" | "https" => is_youtube(host) || host == "generativelanguage.googleapis.com",
        _ => false,
    }
}

/// Returns the media type that an address tells, by its last letters.
pub(super) fn media_type(uri: &str) -> Option<&'static str> {
    let (_, rest) = uri.split_once("://")?;
    let path = rest.split(['?', '#']).next()?;
    if path.split('/').next().is_some_and(is_youtube) {
        return Some("video/mp4");
    }
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "html" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "m4a" | "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "mov" => "video/mov",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}

fn is_youtube(host: &str) -> bool {
    host == "youtu.be" || host == "youtube.com" || host.ends_with(".youtube.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, known: bool, kind: Option<&str>) {
        assert_eq!((is_known(uri), media_type(uri)), (known, kind), "{uri}");
    }

    #[test]
    fn addresses_tell() {
        check("gs://bucket/a.b/film.MP4", true, Some("video/mp4"));
        check("gs://bucket/film", true, None);
        check("https://generativelanguage.googleapis.com/v1beta/files/x", true, None);
        check("files/x", true, None);
        check("https://m.youtube.com/watch?v=1", true, Some("video/mp4"));
        check("https://youtube.com.example.org/a.png", false, Some("image/png"));
        check("https://example.org/?u=gs://b", false, None);
        check("file-abc", false, None);
    }
}
