//! What is spliced stays what it was: recorded traffic through the lanes of the dialects that are served.
//!
//! The laws speak of bytes, and any body will do for them: those that were written anew when they were recorded are
//! run too, beside the verbatim ones.

mod anthropic;
mod openai_chat;

use bytes::Bytes;
use dialect::anthropic::stream::MessagesStream;
use dialect::openai_chat::stream::ChatStream;
use dialect::passed::{Passed, Progress};
use serde_json::Value;

use crate::exchanges::{self, Exchange};

/// What is put into replies, each with the comma before it: texts that no recording holds.
const META: &str = r#","crossway":{"routed_to":"corpus"}"#;
const ACCOUNT: &str = r#","crossway":{"cost":"corpus"}"#;

/// How streams are cut, in bytes.
const PIECES: [usize; 4] = [usize::MAX, 64, 7, 1];

/// Returns the exchanges of files with one of the endpoints.
fn recorded(files: &[&str], endpoints: &[&str]) -> Vec<Exchange> {
    files.iter().flat_map(|file| exchanges::of(file, endpoints)).collect()
}

/// Prints how many exchanges are verbatim.
fn count(topic: &str, exchanges: &[Exchange]) {
    let verbatim = exchanges.iter().filter(|exchange| exchange.fidelity == "verbatim").count();
    eprintln!("{topic}: {} recordings, {verbatim} of them verbatim", exchanges.len());
}

/// Returns a member without its comma.
fn member(text: &str) -> Vec<u8> {
    text.as_bytes().get(1..).unwrap_or_default().to_vec()
}

/// A machine under test.
trait Machine {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress;
    fn end(&mut self, out: &mut Vec<Bytes>) -> Progress;
    fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>);
    fn passed(&self) -> &Passed;
}

macro_rules! machine {
    ($name:ident) => {
        impl Machine for $name {
            fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
                self.push(bytes, out)
            }
            fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
                self.end(out)
            }
            fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>) {
                self.release(account, out);
            }
            fn passed(&self) -> &Passed {
                self.passed()
            }
        }
    };
}

machine!(MessagesStream);
machine!(ChatStream);

/// Runs a stream through a machine in pieces of every size and returns what the caller sees and what passed, which must
/// be the same however it is cut.
fn stream<M: Machine>(body: &str, start: impl Fn() -> M) -> Result<(String, Passed), String> {
    let mut first: Option<(String, Passed)> = None;
    for size in PIECES {
        let (mut machine, mut out, mut progress) = (start(), Vec::new(), Progress::More);
        for piece in body.as_bytes().chunks(size.min(body.len().max(1))) {
            progress = machine.push(Bytes::copy_from_slice(piece), &mut out);
            if progress != Progress::More {
                break;
            }
        }
        if progress == Progress::More {
            progress = machine.end(&mut out);
        }
        if progress != Progress::Complete {
            return Err(format!("in pieces of {size}: {progress:?}"));
        }
        machine.release(&member(ACCOUNT), &mut out);
        let seen = String::from_utf8(out.concat()).map_err(|error| error.to_string())?;
        let found = (seen, machine.passed().clone());
        match &first {
            Some(first) if *first != found => return Err(format!("in pieces of {size} it is another stream")),
            Some(_) => {}
            None => first = Some(found),
        }
    }
    first.ok_or_else(|| "no pieces".to_owned())
}

/// Returns the data of a stream's events, as far as it is JSON.
fn data(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    lines.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// Returns a stream up to the end of the first event that holds a text, its empty line added if it lacks one.
fn up_to(stream: &str, mark: &str) -> String {
    let whole = stream.find(mark).and_then(|at| {
        let end = stream.get(at..)?.find("\n\n")?;
        stream.get(..at + end + 2)
    });
    let text = whole.unwrap_or(stream);
    if text.ends_with("\n\n") || text.ends_with("\r\n\r\n") {
        text.to_owned()
    } else {
        format!("{}\n\n", text.trim_end_matches(['\r', '\n']))
    }
}

/// Compares two values.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, expect: T, found: T) -> Result<(), String> {
    if expect == found { Ok(()) } else { Err(format!("{what}: expected {expect:?}, found {found:?}")) }
}

/// Compares two texts and shows where they part.
fn same_bytes(expect: &str, found: &str) -> Result<(), String> {
    if expect == found {
        return Ok(());
    }
    let at = expect.bytes().zip(found.bytes()).take_while(|(a, b)| a == b).count();
    let show = |text: &str| {
        String::from_utf8_lossy(text.as_bytes().get(at..(at + 60).min(text.len())).unwrap_or_default()).into_owned()
    };
    Err(format!("at byte {at}: expected {:?}, found {:?}", show(expect), show(found)))
}

/// Whether the last member of an object is the meta block.
fn ends_with_meta(object: &Value) -> bool {
    object.as_object().and_then(|object| object.keys().next_back()).is_some_and(|name| name == "crossway")
}
