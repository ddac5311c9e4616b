//! Which characters must not be shown as they are, wherever a name or a text of somebody else's is.

/// Whether a character acts on what stands around it instead of being read: controls (C0, DEL, C1), line and paragraph
/// separators, what changes the direction of text (Unicode Standard Annex 9), and the byte order mark.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character is not seen at all, so that a text with it looks like the one without: soft hyphens, zero-width
/// spaces and joiners, fillers, variation selectors and tags (Unicode's `Default_Ignorable_Code_Point`, and Braille's blank).
pub fn is_invisible(character: char) -> bool {
    joins(character)
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}')
        || matches!(character, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}')
        || matches!(character, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is not seen itself and says how its neighbours are: scripts and emoji need it in their middle.
pub fn joins(character: char) -> bool {
    matches!(character, '\u{34f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Returns a text on one line: a blank stands for each character that must not be shown.
pub fn one_line(text: &str) -> String {
    text.chars().map(|character| if is_unsafe(character) { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_known() {
        let check = |text: &str, expect: bool| assert_eq!(text.chars().all(is_invisible), expect, "{text:?}");
        check("\u{200b}\u{200d}\u{2060}\u{ad}\u{3164}\u{2800}\u{fe0f}\u{feff}\u{202e}\u{e0041}", true);
        for seen in ["a", "é", "日", "🎉", "-", "\u{301}", "ـ", " "] {
            check(seen, false);
        }
        assert!("👩‍👩‍👧❤️".chars().filter(|c| is_invisible(*c)).all(joins));
    }

    #[test]
    fn what_acts_on_a_terminal_or_a_line_is_a_blank() {
        let check = |text: &str, expect: &str| assert_eq!(one_line(text), expect, "{text:?}");
        check("équipe 日本 🎉 👩‍👩‍👧", "équipe 日本 🎉 👩‍👩‍👧");
        check("a\r\nBcc: b\u{1b}[31m\u{9b}", "a  Bcc: b [31m ");
        check("\u{202e}evil\u{2066}\u{2028}\u{feff}", " evil   ");
    }
}
