//! What a judge decides is what happens, however the bytes are cut.

use super::*;

/// Does what an event's data says.
#[derive(Default)]
struct Told {
    held: Vec<Held>,
    seen: Vec<String>,
}

impl Judge for Told {
    fn judge(&mut self, event: Event<'_>) -> Verdict {
        let told = String::from_utf8(event.text().to_vec()).unwrap();
        self.seen.push(told.clone());
        match told.as_str() {
            "hold" => {
                self.held.push(event.hold());
                Verdict::Withhold
            }
            "drop" => Verdict::Withhold,
            "let go" => Verdict::ForwardAfter(self.held.drain(..).map(|held| held.bytes).collect()),
            "replace" => Verdict::Replace(vec![Bytes::from_static(b"<replaced>")]),
            "[DONE]" | "{\"end\":1}" => Verdict::End(Progress::Complete),
            object if object.starts_with('{') => {
                let slot = Slot { end: object.len() - 1, empty: object == "{}", taken: None };
                Verdict::Replace(vec![event.hold().with(&slot, b"\"k\":1")])
            }
            _ => Verdict::Forward,
        }
    }
}

fn run(text: &[u8], size: usize) -> (String, Progress, Vec<String>) {
    let (mut events, mut told, mut out) = (Events::default(), Told::default(), Vec::new());
    let mut progress = Progress::More;
    for piece in text.chunks(size) {
        progress = events.push(Bytes::copy_from_slice(piece), &mut told, &mut out);
        if progress != Progress::More {
            break;
        }
    }
    if progress == Progress::More {
        progress = events.end(&mut told, &mut out);
    }
    (String::from_utf8(out.concat()).unwrap(), progress, told.seen)
}

/// Each event of both texts ends with one empty line, written `\n\n`.
fn check(text: &str, expect: &str) {
    for line_end in ["\n", "\r\n", "\r"] {
        let (text, expect) = (text.replace('\n', line_end), expect.replace('\n', line_end));
        for size in 1..=text.len() {
            assert_eq!(run(text.as_bytes(), size).0, expect, "{line_end:?} in pieces of {size}");
        }
    }
}

#[test]
fn what_is_not_touched_passes_as_it_came() {
    let text = ": hello\n\nevent: x\ndata: a\n\nid: 7\ndata: b\ndata: c\n\n";
    check(text, text);
}

#[test]
fn what_is_judged_is_done() {
    check("data: a\n\ndata: drop\n\ndata: b\n\n", "data: a\n\ndata: b\n\n");
    check("data: a\n\ndata: replace\n\ndata: b\n\n", "data: a\n\n<replaced>data: b\n\n");
    check(
        "data: hold\n\nid: 1\ndata: hold\n\ndata: let go\n\ndata: b\n\n",
        "data: hold\n\nid: 1\ndata: hold\n\ndata: let go\n\ndata: b\n\n",
    );
    check("data: hold\n\ndata: a\n\n", "data: a\n\n");
    check("data: a\n\ndata: [DONE]\n\ndata: b\n\n", "data: a\n\n");
}

#[test]
fn a_member_goes_into_the_data() {
    check("event: x\ndata: {}\nid: 1\n\n", "event: x\ndata: {\"k\":1}\nid: 1\n\n");
    assert_eq!(run(b"data: {\"a\":\ndata: 2}\n\n", 100).0, "data: {\"a\":\ndata: 2,\"k\":1}\n\n");
    let named = b"data: {\"a\":\r\nevent: x\r\ndata: 2}\r\nid: 1\r\n\r\n";
    assert_eq!(run(named, 100).0, "event: x\nid: 1\ndata: {\"a\":\ndata: 2,\"k\":1}\n\n");
}

#[test]
fn a_byte_order_mark_is_left_out() {
    check("\u{feff}data: replace\n\n", "<replaced>");
}

#[test]
fn runs_are_slices_of_what_came() {
    let text = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: drop\n\ndata: c\n\ndata: d\n\ndata: half");
    let mut out = Vec::new();
    Events::default().push(text.clone(), &mut Told::default(), &mut out);
    assert_eq!(out, [&text[..18], &text[30..48]]);
    let inside = |part: &Bytes| text.as_ptr_range().contains(&part.as_ptr());
    assert!(out.iter().all(inside));
}

#[test]
fn the_last_empty_line_may_be_missing() {
    for line_end in ["", "\n", "\r\n", "\r"] {
        for end in ["[DONE]", r#"{"end":1}"#] {
            let text = format!("event: x\ndata: {end}{line_end}");
            let expect = (String::new(), Progress::Complete, vec![end.to_owned()]);
            assert_eq!(run(text.as_bytes(), 100), expect, "{text:?}");
        }
    }
}

#[test]
fn half_an_event_is_left_out() {
    for half in
        ["data: {\"a\":", "data: [DON", "data: {\"a\":1}\ndata: {", "event: x\n", "data:", ": he", "data: {}\n\nda"]
    {
        let whole = half.find("\n\n").map_or("", |_| "data: {\"k\":1}\n\n");
        for size in 1..=half.len() {
            let (seen, progress, _) = run(half.as_bytes(), size);
            assert_eq!((seen.as_str(), progress), (whole, Progress::More), "{half:?}");
        }
    }
}

#[test]
fn several_changes_go_into_the_data() {
    let patches = || vec![(1..4, "xx"), (5..6, ""), (7..7, "!")];
    let patches = || patches().into_iter().map(|(range, with)| Patch { range, with: with.into() }).collect::<Vec<_>>();
    for (event, expect) in
        [("id: 1\ndata: {\"a\":1}\n\n", "id: 1\ndata: {xx:}!\n\n"), ("data: {\"a\":\ndata: }\n\n", "data: {xx:}!\n\n")]
    {
        let bytes = Bytes::from_static(event.as_bytes());
        let held = Event::new(&bytes, 0..bytes.len()).hold();
        assert_eq!(held.patched(patches()), expect);
        assert_eq!(held.patched(Vec::new()), event);
    }
}

#[test]
fn an_endless_event_ends_the_stream() {
    let (mut events, mut told, mut out) = (Events::default(), Told::default(), Vec::new());
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let pushed = (0..20).map(|_| events.push(piece.clone(), &mut told, &mut out));
    assert_eq!(pushed.filter(|progress| *progress == Progress::More).count(), 16);
}

#[test]
fn a_line_end_that_is_no_half_is_not_completed() {
    let text = b"data: a\r\n\r: comment\n\ndata: [DONE]";
    for size in [1, 100] {
        let (_, progress, seen) = run(text, size);
        assert_eq!(
            (progress, seen.last().map(String::as_str)),
            (Progress::Complete, Some("[DONE]")),
            "in pieces of {size}"
        );
    }
}
