//! Case folding: two texts are alike when their folded bytes are.
//!
//! A character folds to the lower case of the upper case of its lower case. That is Unicode's full case folding
//! (Unicode Standard, section 5.18) but for a few letters where it folds more: `ß`, `ẞ` and `ss` are alike, `ﬁ` and
//! `fi`, the Kelvin sign and `k`, and the Turkish `ı` and `i`. Accents count, and nothing is normalised.

/// Passes the folded bytes of a character.
pub(super) fn fold(character: char, mut visit: impl FnMut(u8)) {
    if character.is_ascii() {
        return visit(character.to_ascii_lowercase() as u8);
    }
    if is_caseless(character) {
        return encode(character, &mut visit);
    }
    for lower in character.to_lowercase() {
        for upper in lower.to_uppercase() {
            for folded in upper.to_lowercase() {
                encode(folded, &mut visit);
            }
        }
    }
}

/// Returns how many bytes a character folds to.
pub(super) fn folded_len(character: char) -> usize {
    if character.is_ascii() {
        return 1;
    }
    let mut length = 0;
    fold(character, |_| length += 1);
    length
}

/// Returns the folded bytes of a text.
pub(super) fn folded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        fold(character, |byte| bytes.push(byte));
    }
    bytes
}

/// Scripts without case, so that the tables are not asked about every ideogram. What is not named here is looked up.
fn is_caseless(character: char) -> bool {
    // Hebrew to Myanmar; radicals to Yi; Hangul syllables to compatibility ideograms.
    matches!(character, '\u{590}'..='\u{109f}' | '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{faff}')
}

fn encode(character: char, visit: &mut impl FnMut(u8)) {
    character.encode_utf8(&mut [0; 4]).bytes().for_each(visit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str) {
        assert_eq!(folded(one), folded(other), "{one} {other}");
    }

    #[test]
    fn case_does_not_matter() {
        check("Obscene WORDS", "oBSCENE words");
        check("STRASSE", "straße");
        check("STRAẞE", "strasse");
        check("ΣΊΣΥΦΟΣ", "σίσυφος");
        check("\u{212a}ELVIN", "kelvin");
        check("ﬁnal", "FINAL");
        check("ПРИВЕТ", "привет");
        check("İ", "i\u{307}");
        assert_ne!(folded("résumé"), folded("resume"));
    }

    #[test]
    fn every_character_is_like_its_other_cases() {
        for character in '\0'..=char::MAX {
            let mut itself = Vec::new();
            fold(character, |byte| itself.push(byte));
            let text = String::from_utf8(itself.clone()).unwrap();
            assert_eq!(folded(&text), itself, "folding {character:?} twice");
            assert_eq!(folded(&character.to_uppercase().to_string()), itself, "upper case of {character:?}");
            assert_eq!(folded(&character.to_lowercase().to_string()), itself, "lower case of {character:?}");
            if is_caseless(character) {
                assert_eq!(text, character.to_string(), "{character:?} has case");
            }
            assert_eq!(folded_len(character), itself.len());
        }
    }
}
