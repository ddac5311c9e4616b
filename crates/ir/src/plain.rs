//! Which characters must not be shown as they are, wherever a name or a text of somebody else's is.

/// Whether a character acts on what stands around it instead of being read: controls (C0, DEL, C1), line and paragraph
/// separators, what changes the direction of text (Unicode Standard Annex 9), and the byte order mark.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text on one line: a blank stands for each character that must not be shown.
pub fn one_line(text: &str) -> String {
    text.chars().map(|character| if is_unsafe(character) { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_or_a_line_is_a_blank() {
        let check = |text: &str, expect: &str| assert_eq!(one_line(text), expect, "{text:?}");
        check("équipe 日本 🎉 👩‍👩‍👧", "équipe 日本 🎉 👩‍👩‍👧");
        check("a\r\nBcc: b\u{1b}[31m\u{9b}", "a  Bcc: b [31m ");
        check("\u{202e}evil\u{2066}\u{2028}\u{feff}", " evil   ");
    }
}
