//! Changes of seeds: small accidents with bytes, and larger ones with the words of a grammar. Half of them put one whole
//! value in the place of another, so that what follows is still of that grammar.

/// Where a piece begins, and where it ends.
pub type Range = (usize, usize);

/// What a format looks like, as far as changing it needs to know.
pub struct Grammar {
    /// Words that its readers look for.
    pub words: &'static [&'static [u8]],
    /// Small values.
    pub values: &'static [&'static [u8]],
    /// The bytes that words end at.
    pub boundaries: &'static [u8],
    /// The range of a whole value: the first that follows a place.
    pub value: fn(&[u8], usize) -> Option<Range>,
}

/// Makes one case.
pub struct Mutator<'a> {
    grammar: &'a Grammar,
    state: u64,
}

impl<'a> Mutator<'a> {
    /// Starts the case of a number.
    pub fn new(case: u64, grammar: &'a Grammar) -> Self {
        let mut new = Self { grammar, state: case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        new.below(2);
        new
    }

    /// Returns one of the seeds with a few changes.
    pub fn change(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut data = self.one_of(seeds).clone();
        for _ in 0..=self.below(4) {
            self.once(&mut data, seeds);
        }
        data
    }

    fn once(&mut self, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        if self.below(2) == 0 {
            return self.exchange(data, seeds);
        }
        let (from, to) = if self.below(2) == 0 { self.range(data) } else { self.token(data) };
        let with = match self.below(8) {
            0 => Vec::new(),
            1 | 2 => self.one_of(self.grammar.words).to_vec(),
            3 => [&data[from..to], &data[from..to]].concat(),
            4 => vec![self.below(256) as u8],
            5 => {
                data.truncate(from);
                return;
            }
            6 => {
                let (from, to) = self.token(data);
                data[from..to].to_vec()
            }
            _ => {
                let other = self.one_of(seeds).clone();
                let (from, to) = self.token(&other);
                other[from..to].to_vec()
            }
        };
        data.splice(from..to, with);
    }

    /// Puts a value of any seed, or a small one, in the place of a value.
    fn exchange(&mut self, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let Some((from, to)) = self.value(data) else { return };
        let other = self.one_of(seeds).clone();
        let with = match self.value(&other) {
            Some((from, to)) if self.below(2) == 0 => other[from..to].to_vec(),
            _ => self.one_of(self.grammar.values).to_vec(),
        };
        data.splice(from..to, with);
    }

    fn value(&mut self, data: &[u8]) -> Option<Range> {
        let start = self.below(data.len() + 1);
        (self.grammar.value)(data, start)
    }

    /// A short range.
    fn range(&mut self, data: &[u8]) -> Range {
        let from = self.below(data.len() + 1);
        (from, (from + self.below(9)).min(data.len()))
    }

    /// A range that looks like a word: from one boundary to a later one.
    fn token(&mut self, data: &[u8]) -> Range {
        let boundaries = self.grammar.boundaries;
        let is_boundary = |byte: &u8| boundaries.contains(byte);
        let start = self.below(data.len() + 1);
        let next = |at: usize| data.iter().skip(at).position(is_boundary).map_or(data.len(), |ahead| at + ahead);
        let from = next(start);
        let mut to = from;
        for _ in 0..=self.below(6) {
            to = next((to + 1).min(data.len()));
        }
        (from, to)
    }

    fn one_of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }

    /// A number below `limit`: xorshift64* (Vigna, <https://arxiv.org/abs/1402.6246>).
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let mixed = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d);
        (mixed >> 33) as usize % limit
    }
}
