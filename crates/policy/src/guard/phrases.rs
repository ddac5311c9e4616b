//! Many phrases looked for at once in a text that comes in pieces (Aho and Corasick, 1975), whatever the case.
//!
//! At every moment it is known how much of the text's end may be the beginning of a phrase: exactly that is held back
//! from the caller, and nothing else. The automaton runs over folded bytes; a text is folded as it is read.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use super::fold::{fold, folded, folded_len};
use super::grid::Grid;

/// A set of phrases.
#[derive(Clone)]
pub struct Phrases {
    /// The automaton; the first node is the root.
    nodes: Vec<Node>,
    /// The edges of all nodes, those of one node together.
    edges: Vec<(u8, u32)>,
    /// The edges of the root, by byte; 0 for none.
    root: Box<[u32; 256]>,
    grid: Option<Grid>,
    count: usize,
}

/// A node stands for the beginning of a phrase.
#[derive(Clone, Debug, Default)]
struct Node {
    edges: Range<u32>,
    /// The longest other beginning that this one ends with.
    fallback: u32,
    /// Its length in folded bytes.
    depth: u32,
    /// The phrase that is complete here.
    phrase: Option<u32>,
}

/// A phrase that a piece of text completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub phrase: usize,
    /// Where it ends in the piece, in bytes.
    pub end: usize,
}

/// How far a text was read.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    node: u32,
    /// The end of the text that may begin a phrase.
    pending: String,
}

impl Scan {
    /// Returns how many bytes of the text's end may be the beginning of a phrase.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }
}

impl Phrases {
    /// Takes phrases, none of them empty. One that is there twice counts once: the first.
    pub fn new<'a>(phrases: impl IntoIterator<Item = &'a str>) -> Self {
        let phrases: Vec<Vec<u8>> = phrases.into_iter().map(folded).collect();
        let mut trie = Trie { children: vec![Vec::new()], nodes: vec![Node::default()] };
        for (index, phrase) in phrases.iter().enumerate().filter(|(_, phrase)| !phrase.is_empty()) {
            trie.add(phrase, u32::try_from(index).unwrap_or(u32::MAX));
        }
        trie.link();
        let Trie { children, mut nodes } = trie;
        let mut root = Box::new([0; 256]);
        let mut edges = Vec::with_capacity(nodes.len());
        for (node, children) in nodes.iter_mut().zip(children) {
            let first = edges.len() as u32;
            edges.extend(children);
            node.edges = first..edges.len() as u32;
        }
        for (byte, child) in nodes.first().and_then(|root| edges.get(range(&root.edges))).unwrap_or_default() {
            if let Some(place) = root.get_mut(usize::from(*byte)) {
                *place = *child;
            }
        }
        Self { nodes, edges, root, grid: Grid::new(&phrases), count: phrases.len() }
    }

    /// Whether there is no phrase.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads the next piece of a text. Returns the first phrase that it completes; then the scan is over.
    pub fn push(&self, scan: &mut Scan, text: &str) -> Option<Found> {
        let bytes = text.as_bytes();
        let (mut node, mut at) = (scan.node, 0);
        // Up to where the automaton must read although it stands at its root; up to where the bytes are ASCII.
        let (mut to, mut ascii) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            if node == 0
                && at >= to
                && let Some(grid) = &self.grid
            {
                if at >= ascii {
                    ascii = at + ascii_len(bytes.get(at..).unwrap_or_default());
                }
                let run = bytes.get(..ascii).unwrap_or_default();
                let next = if at < ascii { grid.next(run, at) } else { (at, at) };
                to = next.1;
                if next.0 > at {
                    at = next.0.min(ascii);
                    continue;
                }
            }
            let mut found = None;
            let mut step = |byte| {
                node = self.step(node, byte);
                found = found.or(self.nodes.get(node as usize).and_then(|node| node.phrase));
            };
            if byte.is_ascii() {
                step(byte.to_ascii_lowercase());
                at += 1;
            } else {
                let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
                fold(character, step);
                at += character.len_utf8();
            }
            if let Some(phrase) = found {
                return Some(Found { phrase: phrase as usize, end: at });
            }
        }
        scan.node = node;
        self.keep_pending(scan, text);
        None
    }

    fn step(&self, mut node: u32, byte: u8) -> u32 {
        while node != 0 {
            let Some(from) = self.nodes.get(node as usize) else { return 0 };
            let edges = self.edges.get(range(&from.edges)).unwrap_or_default();
            if let Some((_, next)) = edges.iter().find(|(found, _)| *found == byte) {
                return *next;
            }
            node = from.fallback;
        }
        self.root.get(usize::from(byte)).copied().unwrap_or(0)
    }

    /// Keeps of the text's end what the automaton remembers.
    fn keep_pending(&self, scan: &mut Scan, text: &str) {
        let mut left = self.nodes.get(scan.node as usize).map_or(0, |node| node.depth as usize);
        let mut tail_of = |text: &str| {
            let mut start = text.len();
            for (at, character) in text.char_indices().rev() {
                if left == 0 {
                    break;
                }
                left = left.saturating_sub(folded_len(character));
                start = at;
            }
            start
        };
        let start = tail_of(text);
        // What came before is still needed only where the piece was too short.
        let before = tail_of(&scan.pending);
        scan.pending.drain(..before);
        scan.pending.push_str(text.get(start..).unwrap_or_default());
    }
}

impl fmt::Debug for Phrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phrases({})", self.count)
    }
}

fn range(edges: &Range<u32>) -> Range<usize> {
    edges.start as usize..edges.end as usize
}

/// Returns how many bytes at the start are ASCII.
fn ascii_len(bytes: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks = bytes.chunks_exact(BLOCK).take_while(|block| block.is_ascii()).count();
    let rest = bytes.get(blocks * BLOCK..).unwrap_or_default();
    blocks * BLOCK + rest.iter().take_while(|byte| byte.is_ascii()).count()
}

/// The automaton while it is built.
struct Trie {
    children: Vec<Vec<(u8, u32)>>,
    nodes: Vec<Node>,
}

impl Trie {
    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        self.children.get(node as usize)?.iter().find(|(found, _)| *found == byte).map(|(_, child)| *child)
    }

    fn add(&mut self, phrase: &[u8], index: u32) {
        let mut node = 0;
        for byte in phrase {
            node = self.child(node, *byte).unwrap_or_else(|| {
                let child = self.nodes.len() as u32;
                let depth = self.nodes.get(node as usize).map_or(0, |node| node.depth) + 1;
                self.nodes.push(Node { depth, ..Node::default() });
                self.children.push(Vec::new());
                if let Some(children) = self.children.get_mut(node as usize) {
                    children.push((*byte, child));
                }
                child
            });
        }
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.phrase = node.phrase.or(Some(index));
        }
    }

    /// Finds the fallbacks, shorter beginnings first.
    fn link(&mut self) {
        let mut queue = VecDeque::from([0]);
        while let Some(node) = queue.pop_front() {
            for (byte, child) in self.children.get(node as usize).cloned().unwrap_or_default() {
                let fallback = if node == 0 { 0 } else { self.fallback_of_child(node, byte) };
                let phrase = self.nodes.get(fallback as usize).and_then(|node| node.phrase);
                if let Some(child) = self.nodes.get_mut(child as usize) {
                    child.fallback = fallback;
                    child.phrase = child.phrase.or(phrase);
                }
                queue.push_back(child);
            }
        }
    }

    fn fallback_of_child(&self, node: u32, byte: u8) -> u32 {
        let mut shorter = node;
        while shorter != 0 {
            shorter = self.nodes.get(shorter as usize).map_or(0, |node| node.fallback);
            if let Some(found) = self.child(shorter, byte) {
                return found;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests;
