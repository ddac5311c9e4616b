//! YAML and JSON as trees with lines.
//!
//! The events of the parser are read directly: a reader by way of serde stops at the first fault and loses how a number
//! was written. Plain scalars follow the core schema of YAML 1.2, so that `on`, `off`, `yes` and `no` are text. A file
//! is cut at its document markers first, which no value can hold, so that a fault in one document does not hide those
//! in the next.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::node::{Member, Node, Written};
use super::scalar::resolve;

/// How deep values may lie in each other.
const DEPTH: usize = 64;

/// How many values a document may hold.
const NODES: usize = 500_000;

/// How many values its anchors and aliases may stand for. Nine lists of nine aliases to the one before are 387 million.
const COPIED: usize = 50_000;

/// A fault of the form, and its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The line.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
}

impl Flaw {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// Reads every document of a text; empty ones are left out. A document with flaws of its form is left out, and they
/// are reported.
pub(super) fn read(text: &str) -> (Vec<Node>, Vec<Flaw>) {
    let (mut roots, mut flaws) = (Vec::new(), Vec::new());
    for (skipped, part) in parts(text) {
        let mut builder = Builder { skipped, ..Builder::default() };
        if let Err(flaw) = builder.run(part) {
            builder.flaws.push(flaw);
        } else {
            roots.append(&mut builder.roots);
        }
        flaws.append(&mut builder.flaws);
    }
    (roots, flaws)
}

/// Cuts a text before every line that starts a document; each part comes with the number of lines before it.
/// Directives, which may come before such a line, say nothing that is needed here.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut cuts = vec![(0, 0)];
    let (mut offset, mut lines) = (0, 0);
    for line in text.split_inclusive('\n') {
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && offset > 0 {
            cuts.push((offset, lines));
        }
        offset += line.len();
        lines += 1;
    }
    let ends = cuts.iter().skip(1).map(|(offset, _)| *offset).chain([text.len()]);
    let cut = cuts.iter().zip(ends).map(|((start, lines), end)| (*lines, text.get(*start..end).unwrap_or_default()));
    cut.filter(|(_, part)| !is_only_directives(part)).collect()
}

fn is_only_directives(part: &str) -> bool {
    part.lines().all(|line| line.starts_with(['%', '#']) || line.trim().is_empty())
}

/// A mapping or a list that is being read.
struct Open {
    line: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Members { members: Vec<Member>, lines: HashMap<String, usize>, name: Name },
}

/// What is known of the name of the member that comes next.
enum Name {
    Awaited,
    Read(String, usize),
    /// It was no name, or one that was there already: its value is read and left out.
    Faulty,
}

#[derive(Default)]
struct Builder {
    skipped: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    copied: usize,
    roots: Vec<Node>,
    flaws: Vec<Flaw>,
}

impl Builder {
    fn run(&mut self, text: &str) -> Result<(), Flaw> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| self.explain(&error, text))?;
            self.take(event, &span)?;
        }
        if self.flaws.is_empty() {
            self.roots.retain(|root| root.value != Written::Null);
        } else {
            self.roots.clear();
        }
        Ok(())
    }

    fn line(&self, span: &Span) -> usize {
        span.start.line() + self.skipped
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Flaw> {
        let line = self.line(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), line);
                let plain = style == ScalarStyle::Plain;
                let value = if plain { resolve(&text) } else { Written::Text(text.into_owned()) };
                self.finish(Node { line, value }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), line);
                self.start(Open { line, anchor, content: Content::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), line);
                let content = Content::Members { members: Vec::new(), lines: HashMap::new(), name: Name::Awaited };
                self.start(Open { line, anchor, content })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, line),
            _ => Ok(()),
        }
    }

    fn refuse_tag(&mut self, tagged: bool, line: usize) {
        if tagged {
            self.flaws.push(Flaw::new(line, "a tag is not read here").hint("leave out what begins with !"));
        }
    }

    fn start(&mut self, open: Open) -> Result<(), Flaw> {
        if self.open.len() >= DEPTH {
            return Err(too_deep(open.line));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Flaw> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(items) => Written::List(items),
            Content::Members { members, .. } => Written::Members(members),
        };
        self.finish(Node { line: open.line, value }, open.anchor)
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), Flaw> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Flaw::new(line, "an alias inside of what it stands for"));
        };
        let (values, depth) = measure(node);
        if depth + self.open.len() > DEPTH {
            return Err(too_deep(line));
        }
        self.copied += values;
        let mut node = node.clone();
        node.line = line;
        self.finish(node, 0)
    }

    /// Puts a whole value where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Flaw> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(Flaw::new(node.line, format!("more than {NODES} values")).hint("use several files"));
        }
        if anchor != 0 {
            self.copied += measure(&node).0;
        }
        if self.copied > COPIED {
            return Err(Flaw::new(node.line, format!("anchors and aliases stand for more than {COPIED} values")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.roots.push(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Members { members, lines, name }) => match std::mem::replace(name, Name::Awaited) {
                Name::Awaited => *name = read_name(node, lines, &mut self.flaws),
                Name::Read(name, line) => members.push(Member { name, line, node }),
                Name::Faulty => {}
            },
        }
        Ok(())
    }

    /// A tab in an indentation is what the eye does not see, and its consequences may show elsewhere.
    fn explain(&self, error: &ScanError, text: &str) -> Flaw {
        let flaw = Flaw::new(error.marker().line() + self.skipped, format!("not YAML: {}", error.info()));
        let indented = |line: &str| line.trim_start_matches(' ').starts_with('\t');
        match text.lines().position(indented) {
            Some(before) => {
                let line = before + 1 + self.skipped;
                flaw.hint(&format!("line {line} is indented with a tab: use spaces"))
            }
            None => flaw,
        }
    }
}

fn read_name(node: Node, lines: &mut HashMap<String, usize>, flaws: &mut Vec<Flaw>) -> Name {
    let name = match node.value {
        Written::Text(name) | Written::Integer(name) | Written::Decimal(name) => name,
        Written::Bool(value) => value.to_string(),
        _ => {
            flaws.push(Flaw::new(node.line, "the name of a member is not text"));
            return Name::Faulty;
        }
    };
    if let Some(first) = lines.get(&name) {
        flaws.push(Flaw::new(node.line, format!("{name} is written twice: the first time on line {first}")));
        return Name::Faulty;
    }
    lines.insert(name.clone(), node.line);
    Name::Read(name, node.line)
}

fn too_deep(line: usize) -> Flaw {
    Flaw::new(line, format!("more than {DEPTH} levels deep"))
}

/// Returns how many values a value holds, and how many levels.
fn measure(node: &Node) -> (usize, usize) {
    let sum = |(values, depth): (usize, usize), inner: (usize, usize)| (values + inner.0, depth.max(inner.1));
    let (values, depth) = match &node.value {
        Written::List(items) => items.iter().map(measure).fold((0, 0), sum),
        Written::Members(members) => members.iter().map(|member| measure(&member.node)).fold((0, 0), sum),
        _ => return (1, 0),
    };
    (values + 1, depth + 1)
}
