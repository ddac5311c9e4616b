//! What a model's name says of it.

/// A model's generation and size, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// Its number: 25 for 2.5.
    number: u32,
    size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Pro,
    Flash,
}

/// What is taken for a name without a number: `gemini-flash-latest` and the like stand for the newest models.
const NEWEST: u32 = 31;

impl Generation {
    /// Reads a name such as `gemini-2.5-flash`, with or without the folders in front of it.
    pub(super) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let size = if name.contains("pro") { Size::Pro } else { Size::Flash };
        let number = name.strip_prefix("gemini-").and_then(|rest| rest.split('-').next()).and_then(number);
        Self { number: number.unwrap_or(NEWEST), size }
    }

    /// Whether it thinks: from 2.5 on (<https://ai.google.dev/gemini-api/docs/thinking>).
    pub(super) fn thinks(self) -> bool {
        self.number >= 25
    }

    /// Whether it is told by a level how much to think, and not by a budget. The same generation wants signatures with
    /// function calls, and takes media in their results.
    pub(super) fn is_third(self) -> bool {
        self.number >= 30
    }

    /// Returns the least and the greatest budget of thought, in tokens. The greater models of 2.5 cannot do without.
    pub(super) fn budgets(self) -> (u64, u64) {
        match self.size {
            Size::Pro => (128, 32_768),
            Size::Flash => (0, 24_576),
        }
    }

    /// Returns the least level of thought, and the middle one: the first `pro` of the third generation knows `low` and
    /// `high` only (<https://ai.google.dev/gemini-api/docs/gemini-3#thinking_level>).
    pub(super) fn levels(self) -> (&'static str, &'static str) {
        match (self.size, self.number) {
            (Size::Pro, 30) => ("low", "high"),
            (Size::Pro, _) => ("low", "medium"),
            (Size::Flash, _) => ("minimal", "medium"),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    Some(major.parse::<u32>().ok()?.min(1_000) * 10 + minor.parse::<u32>().ok()?.min(9))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(model: &str, thinks: bool, third: bool, levels: (&str, &str)) {
        let generation = Generation::of(model);
        assert_eq!(
            (generation.thinks(), generation.is_third(), generation.levels()),
            (thinks, third, levels),
            "{model}"
        );
    }

    #[test]
    fn names_tell() {
        check("gemini-1.5-pro", false, false, ("low", "medium"));
        check("models/gemini-2.0-flash-001", false, false, ("minimal", "medium"));
        check("gemini-2.5-flash-lite", true, false, ("minimal", "medium"));
        check("publishers/google/models/gemini-3-pro-preview", true, true, ("low", "high"));
        check("gemini-3.1-pro-preview", true, true, ("low", "medium"));
        check("gemini-flash-latest", true, true, ("minimal", "medium"));
        check("", true, true, ("minimal", "medium"));
    }
}
