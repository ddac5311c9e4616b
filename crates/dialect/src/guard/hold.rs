//! What is held back: whole events (or bytes of them), in their order, until every text in them is clear.
//!
//! One choice that is held back holds the others: their events are not reordered.

use std::collections::VecDeque;

use ir::guard::{Blocked, Interruption, Watch};

/// The choices of an answer and what is held back of it.
#[derive(Debug)]
pub(super) struct Hold<T, W> {
    /// The watch of a choice that nothing was seen of.
    fresh: W,
    choices: Vec<Choice<W>>,
    queue: VecDeque<(T, Vec<Mark>)>,
    text_bytes: u64,
}

#[derive(Debug)]
struct Choice<W> {
    index: u32,
    watch: W,
    over: bool,
}

/// A place in the text of a choice: what bears it may leave when the text is clear up to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The choice.
    pub choice: u32,
    /// How many bytes of its text.
    pub to: u64,
}

impl<T, W: Watch + Clone> Hold<T, W> {
    /// Starts an answer.
    pub fn new(fresh: W) -> Self {
        Self { fresh, choices: Vec::new(), queue: VecDeque::new(), text_bytes: 0 }
    }

    /// Returns how much text has come, whether it stayed or not.
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Takes text of a choice. Returns how many of its bytes stay, and the mark of what bears it.
    pub fn text(&mut self, choice: u32, text: &str) -> Result<(usize, Mark), Blocked> {
        self.text_bytes += text.len() as u64;
        let found = self.choice(choice);
        found.over = false;
        let stays = found.watch.push(text)?;
        Ok((stays, Mark { choice, to: found.watch.kept() }))
    }

    /// Returns the mark of what belongs to text that has not come yet.
    pub fn mark_of_next(&mut self, choice: u32) -> Mark {
        Mark { choice, to: self.choice(choice).watch.kept() + 1 }
    }

    /// Takes note that something other than text follows.
    pub fn interrupt(&mut self, choice: u32, by: Interruption) {
        self.choice(choice).watch.interrupt(by);
    }

    /// Takes note that a choice is complete. Returns what is to be appended to its text.
    pub fn finish(&mut self, choice: u32) -> Result<Option<String>, Blocked> {
        let found = self.choice(choice);
        found.over = true;
        found.watch.end()
    }

    /// Returns the choices that are not complete.
    pub fn unfinished(&self) -> Vec<u32> {
        self.choices.iter().filter(|choice| !choice.over).map(|choice| choice.index).collect()
    }

    /// Whether a choice was cut off.
    pub fn is_cut(&self, choice: u32) -> bool {
        self.find(choice).is_some_and(|choice| choice.watch.is_cut())
    }

    /// Whether no more text of a choice would stay.
    pub fn is_full(&self, choice: u32) -> bool {
        self.find(choice).is_some_and(|choice| choice.watch.is_full())
    }

    /// Whether text may be appended to a choice.
    pub fn may_append(&self, choice: u32) -> bool {
        self.find(choice).map_or(&self.fresh, |choice| &choice.watch).may_append()
    }

    /// Whether something with these marks may leave at once.
    pub fn passes(&self, marks: &[Mark]) -> bool {
        self.queue.is_empty() && self.is_clear(marks)
    }

    /// Adds what leaves when its marks are clear and everything before it has left.
    pub fn push(&mut self, item: T, marks: &[Mark]) {
        self.queue.push_back((item, marks.to_vec()));
    }

    /// Returns the next thing that may leave.
    pub fn next(&mut self) -> Option<T> {
        let (_, marks) = self.queue.front()?;
        if !self.is_clear(marks) {
            return None;
        }
        self.queue.pop_front().map(|(item, _)| item)
    }

    fn is_clear(&self, marks: &[Mark]) -> bool {
        marks.iter().all(|mark| {
            self.find(mark.choice).is_none_or(|choice| {
                let whole = choice.over || choice.watch.is_cut();
                whole || choice.watch.clear() >= mark.to
            })
        })
    }

    fn find(&self, index: u32) -> Option<&Choice<W>> {
        self.choices.iter().find(|choice| choice.index == index)
    }

    fn choice(&mut self, index: u32) -> &mut Choice<W> {
        let at = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Choice { index, watch: self.fresh.clone(), over: false });
            self.choices.len() - 1
        });
        &mut self.choices[at]
    }
}
