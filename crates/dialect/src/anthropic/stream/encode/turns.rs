//! The order of blocks: providers write several calls at once, piece by piece, but a message's blocks follow each other, and
//! nothing of a block comes after its stop. What belongs to a later block waits until the arguments of the call before it
//! are whole.

use ir::chat::event::{Delta, Event, Opening};

/// More than this does not wait: the call before it is taken to be whole.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// What an event takes in memory beside its text.
const EVENT_BYTES: usize = size_of::<Event>();

/// Puts the events of one choice in turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    call: Option<Call>,
    waiting: Vec<Event>,
    waiting_bytes: usize,
}

/// The call whose block is open.
#[derive(Debug)]
struct Call {
    part: u32,
    arguments: Arguments,
    /// Whether its end was said; more of it may come all the same.
    ended: bool,
}

/// How much of the arguments is there.
#[derive(Debug, Default)]
struct Arguments {
    /// Whether they are plain text, whose end nobody sees.
    plain: bool,
    depth: u32,
    in_string: bool,
    escaped: bool,
    whole: bool,
}

impl Turns {
    /// Takes the next event and appends to `out` those whose turn it is.
    pub fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        let Some(call) = &mut self.call else {
            if let Event::Opened { choice: 0, part, opening: Opening::ToolCall { custom, .. } } = &event {
                let arguments = Arguments { plain: *custom, ..Arguments::default() };
                self.call = Some(Call { part: *part, arguments, ended: false });
            }
            return out.push(event);
        };
        match &event {
            Event::Opened { choice: 0, part, .. }
            | Event::Delta { choice: 0, part, .. }
            | Event::Closed { choice: 0, part }
                if *part > call.part =>
            {
                self.wait(event, out);
            }
            Event::Delta { choice: 0, part, delta } if *part == call.part => {
                if let Delta::Arguments(text) = delta {
                    call.arguments.read(text);
                }
                let over = call.ended && call.arguments.whole;
                out.push(event);
                if over {
                    self.go_on(out);
                }
            }
            Event::Closed { choice: 0, part } if *part == call.part => {
                call.ended = true;
                if call.arguments.whole {
                    self.go_on(out);
                }
            }
            _ => out.push(event),
        }
    }

    /// Nothing more will come: hands on what waits.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        while self.call.is_some() {
            self.go_on(out);
        }
    }

    fn wait(&mut self, event: Event, out: &mut Vec<Event>) {
        let text = match &event {
            Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text) | Delta::Data(text), .. } => text.len(),
            _ => 0,
        };
        self.waiting_bytes += EVENT_BYTES + text;
        self.waiting.push(event);
        if self.waiting_bytes > MAX_WAITING_BYTES {
            self.go_on(out);
        }
    }

    /// Ends the call that is open, and hands on what waited for that.
    fn go_on(&mut self, out: &mut Vec<Event>) {
        out.extend(self.call.take().map(|call| Event::Closed { choice: 0, part: call.part }));
        self.waiting_bytes = 0;
        for event in std::mem::take(&mut self.waiting) {
            self.push(event, out);
        }
    }
}

impl Arguments {
    fn read(&mut self, text: &str) {
        for byte in text.bytes().take_while(|_| !self.plain) {
            match byte {
                _ if self.whole => return,
                _ if std::mem::take(&mut self.escaped) => {}
                b'\\' => self.escaped = self.in_string,
                b'"' => {
                    self.in_string = !self.in_string;
                    self.whole = !self.in_string && self.depth == 0;
                }
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.whole = self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(part: u32) -> Event {
        let opening = Opening::ToolCall { id: part.to_string(), name: "f".to_owned(), custom: false };
        Event::Opened { choice: 0, part, opening }
    }

    fn piece(part: u32, text: &str) -> Event {
        Event::Delta { choice: 0, part, delta: Delta::Arguments(text.to_owned()) }
    }

    fn closed(part: u32) -> Event {
        Event::Closed { choice: 0, part }
    }

    /// Pushes events, and returns what came of them: while they came, and at the end.
    fn turned(events: Vec<Event>) -> (Vec<Event>, Vec<Event>) {
        let (mut turns, mut out, mut end) = (Turns::default(), Vec::new(), Vec::new());
        events.into_iter().for_each(|event| turns.push(event, &mut out));
        turns.end(&mut end);
        (out, end)
    }

    #[test]
    fn what_is_in_turn_goes_on_at_once() {
        let events = vec![
            opened(0),
            piece(0, "{\"a\":"),
            piece(0, "\"}\\\"\"}"),
            closed(0),
            opened(1),
            piece(1, "[]"),
            closed(1),
        ];
        assert_eq!(turned(events.clone()), (events, Vec::new()));
    }

    #[test]
    fn a_later_call_waits_for_the_one_before_it() {
        let mixed =
            [opened(0), closed(0), opened(1), piece(0, "{"), piece(1, "{"), piece(0, "}"), piece(1, "}"), closed(1)];
        let (out, end) = turned(mixed.to_vec());
        let expect =
            [opened(0), piece(0, "{"), piece(0, "}"), closed(0), opened(1), piece(1, "{"), piece(1, "}"), closed(1)];
        assert_eq!((out.as_slice(), end.as_slice()), (expect.as_slice(), [].as_slice()));
    }

    #[test]
    fn what_never_becomes_whole_ends_with_the_answer() {
        let (out, end) = turned(vec![opened(0), closed(0), opened(1), piece(1, "{}"), closed(1)]);
        assert_eq!(out, [opened(0)]);
        assert_eq!(end, [closed(0), opened(1), piece(1, "{}"), closed(1)]);
    }

    #[test]
    fn no_more_waits_than_a_bound() {
        let long = "x".repeat(100_000);
        let mut events = vec![opened(0), piece(0, "{"), closed(0), opened(1)];
        events.extend((0..20).map(|_| piece(1, &long)));
        let (out, _) = turned(events);
        let sent = out.iter().filter(|event| matches!(event, Event::Delta { part: 1, .. })).count();
        assert_eq!(sent, 20, "the second call goes on as it comes");
    }

    proptest::proptest! {
        /// However pieces interleave, each call is whole, and in one piece of the message.
        #[test]
        fn calls_follow_each_other(order in proptest::collection::vec(0_u32..4, 0..60)) {
            const PIECES: [&str; 5] = ["{\"a", "\":[\"}", "\\\"\"", "]", "}"];
            let mut at = [0; 4];
            let mut events: Vec<Event> = (0..4).flat_map(|part| [opened(part), closed(part)]).collect();
            let rest = (0..4).flat_map(|part| [part; 5]);
            for part in order.into_iter().chain(rest) {
                if let Some(text) = PIECES.get(at[part as usize]) {
                    at[part as usize] += 1;
                    events.push(piece(part, text));
                }
            }
            let (mut out, end) = turned(events);
            out.extend(end);
            let expect: Vec<Event> = (0..4).flat_map(|part| {
                let pieces = PIECES.iter().map(move |text| piece(part, text));
                std::iter::once(opened(part)).chain(pieces).chain([closed(part)])
            }).collect();
            proptest::prop_assert_eq!(out, expect);
        }
    }
}
