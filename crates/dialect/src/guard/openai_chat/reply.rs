//! A buffered reply: <https://platform.openai.com/docs/api-reference/chat/object>.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use ir::guard::{Blocked, Interruption, Watch};

pub use super::reading::Reading;
use super::reading::{Choice, Content, cut_reason, is_calling};
use crate::json::text::{lenient, quoted};
use crate::splice::{Patch, apply};

/// Judges the body of a reply that nobody has read. One that is no reply is returned as it is, for others to refuse.
///
/// # Errors
/// When it is blocked.
pub fn judge<W: Watch + Clone>(body: Bytes, fresh: &W) -> Result<Bytes, Blocked> {
    let mut reading = Reading::default();
    match reading.read(&body, "message") {
        Ok(()) => judge_read(body, &reading, fresh),
        Err(_) => Ok(body),
    }
}

/// Judges the body of a reply by what it says. Returns it as it may go on: unchanged, cut or with something appended.
/// `fresh` is the watch of a choice that nothing was seen of.
///
/// # Errors
/// When it is blocked.
pub fn judge_read<W: Watch + Clone>(body: Bytes, reading: &Reading, fresh: &W) -> Result<Bytes, Blocked> {
    let mut patches = Vec::new();
    for choice in &reading.choices {
        judge_choice(&body, reading, choice, fresh.clone(), &mut patches)?;
    }
    if patches.is_empty() {
        return Ok(body);
    }
    patches.sort_by_key(|patch| patch.range.start);
    Ok(apply(&body, patches).concat().into())
}

fn judge_choice(
    body: &[u8],
    reading: &Reading,
    choice: &Choice,
    mut watch: impl Watch,
    patches: &mut Vec<Patch>,
) -> Result<(), Blocked> {
    let mut content = 0;
    for text in reading.texts_of(choice) {
        let said = said(body, text);
        let stays = watch.push(&said)?;
        if stays < said.len() {
            let with = quoted(said.get(..stays).unwrap_or_default());
            patches.push(Patch { range: text.clone(), with: with.into() });
        }
        if choice.content == Content::Text(text.clone()) {
            content = stays;
        }
    }
    let finish = choice.finish.as_ref().and_then(|range| Some((range.clone(), body.get(range.clone())?)));
    if choice.calls || finish.as_ref().is_some_and(|(_, reason)| is_calling(reason)) {
        watch.interrupt(Interruption::ToolCall);
    }
    if let Some(more) = watch.end()? {
        let said = match &choice.content {
            Content::Text(range) => said(body, range),
            _ => "".into(),
        };
        append(&choice.content, said.get(..content).unwrap_or_default(), &more, patches);
    }
    if watch.is_cut() {
        let reason = finish.and_then(|(range, reason)| Some((range, cut_reason(reason)?)));
        let echoes = choice.echoes.iter().cloned();
        patches.extend(echoes.chain(reason).map(|(range, with)| Patch { range, with: Bytes::from_static(with) }));
    }
    Ok(())
}

fn said<'a>(body: &'a [u8], text: &Range<usize>) -> Cow<'a, str> {
    body.get(text.clone()).and_then(lenient).unwrap_or_default()
}

/// Appends a text to a content. `said` is what stays of a content that is a text.
fn append(content: &Content, said: &str, more: &str, patches: &mut Vec<Patch>) {
    let (range, with) = match content {
        Content::Missing | Content::Other => return,
        Content::Text(range) => (range.clone(), quoted(&format!("{said}{more}"))),
        Content::Null(range) => (range.clone(), quoted(more)),
        Content::Absent { start, empty } => {
            let comma: &[u8] = if *empty { b"" } else { b"," };
            (*start..*start, [b"\"content\":", quoted(more).as_slice(), comma].concat())
        }
        Content::Parts { end, empty } => {
            let comma: &[u8] = if *empty { b"" } else { b"," };
            (*end..*end, [comma, b"{\"type\":\"text\",\"text\":", &quoted(more), b"}"].concat())
        }
    };
    patches.retain(|patch| patch.range != range);
    patches.push(Patch { range, with: with.into() });
}
