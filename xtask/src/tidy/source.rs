//! Rust text with its comments and literals blanked out, line for line, and where its functions and tests are.

/// A span of lines, from 1, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The first line.
    pub first: usize,
    /// The last line.
    pub last: usize,
}

impl Lines {
    /// Returns how many lines the span has.
    pub fn count(self) -> usize {
        self.last + 1 - self.first
    }

    /// Tells whether a line lies in the span.
    pub fn contains(self, line: usize) -> bool {
        (self.first..=self.last).contains(&line)
    }
}

/// Returns the text with every comment, string and character literal replaced by spaces; line breaks stay.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that starts here ends; `at` itself when none starts here.
fn skipped(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => find(chars, at, |c| c == '\n'),
        '/' if next == Some('*') => block_comment(chars, at),
        '"' => quoted(chars, at),
        'r' if !joined(chars, at) => raw_string(chars, at),
        '\'' => character(chars, at),
        _ => at,
    }
}

/// Tells whether the character before belongs to the same word; the `b` of a byte string does not count.
fn joined(chars: &[char], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|index| chars.get(index)).copied();
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    word(before(1)) && (!matches!(before(1), Some('b' | 'c')) || word(before(2)))
}

fn find(chars: &[char], from: usize, is: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|index| is(chars[*index])).unwrap_or(chars.len())
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn quoted(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_string(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return start;
    }
    let closes =
        |at: usize| chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (open + 1..chars.len()).find(|at| closes(*at)).map_or(chars.len(), |at| at + 1 + hashes)
}

/// A character literal; a lifetime is left alone.
fn character(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => find(chars, start + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
    .min(chars.len())
}

/// Returns the lines of every `#[cfg(test)] mod … { … }`.
pub fn test_modules(code: &str) -> Vec<Lines> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let rest = &code[at..];
        let opens = rest.find('{').unwrap_or(rest.len());
        // `mod tests;` has its tests in a file of its own.
        if rest.find(';').unwrap_or(rest.len()) < opens || opens == rest.len() {
            continue;
        }
        found.push(block(code, at, at + opens));
    }
    found
}

/// Returns the name and the lines of every function that has a body, from `fn` to its closing brace.
pub fn functions(code: &str) -> Vec<(String, Lines)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if let (false, Some(opens)) = (name.is_empty(), body(&code[at..])) {
            found.push((name, block(code, at, at + opens)));
        }
    }
    found
}

/// Where the body of a function opens; `None` for a declaration without one. Brackets of the signature are passed over.
fn body(code: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The lines from a start to the brace that closes the one at `open`.
fn block(code: &str, start: usize, open: usize) -> Lines {
    let mut depth = 0_i32;
    let close = code[open..].char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(open + at)
    });
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    Lines { first: line(start), last: line(close.unwrap_or(code.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_vanish_and_lines_stay() {
        let text = "let a = \"fn { // \"; // fn x() {\n/* { /* { */ */ let b = r#\"\"{\"#; let c = '{'; let d: &'a str = b\"{\";\n";
        let code = code_only(text);
        assert_eq!(code.lines().count(), 2);
        assert!(!code.contains('{'), "{code}");
        assert!(code.contains("let d: &'a str"));
        assert!(code_only("let x = '\\''; y").contains("; y"));
        assert!(code_only("for r in 0..3 {}").contains("r in"));
    }

    #[test]
    fn functions_and_their_lines() {
        let code = code_only(
            "trait T {\n  fn a();\n}\nfn b<const N: usize>(x: [u8; 3]) -> u8 {\n  1\n}\nlet f: fn (u8) = b;\n",
        );
        let found = functions(&code);
        assert_eq!(found, [("b".to_owned(), Lines { first: 4, last: 6 })]);
    }

    #[test]
    fn test_modules_with_and_without_a_body() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n#[cfg(test)]\nmod more;\n";
        assert_eq!(test_modules(code), [Lines { first: 2, last: 5 }]);
    }
}
