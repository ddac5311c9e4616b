//! How much of a usage report can be true. What a provider says is what it bills, but a report that no such request can
//! amount to would empty a budget by itself.

use super::{Usage, estimate_tokens};

/// The most searches of one answer that are believed. Research agents run some dozens.
const SEARCHES: u64 = 1_000;

/// Some providers count the token that ends an answer beside those that were allowed.
const ENDING_TOKENS: u64 = 1;

/// The most that a request can amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Input tokens of every kind, of what the request holds or refers to.
    pub input: u64,
    /// Input tokens that the provider may have added to that.
    pub added: u64,
    /// Output tokens of every kind, whether they are shown or not.
    pub output: u64,
}

/// What a usage report says more than can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// More input than the request can have.
    Input,
    /// More output than the request allows, and than was said.
    Output,
    /// More of both.
    Both,
    /// More searches than any answer has.
    Searches,
    /// Kinds of tokens, a service tier or searches that the request did not ask for, and that cost more than it can.
    Cost,
}

impl Doubt {
    /// Every doubt, for whoever counts them.
    pub const ALL: [Self; 5] = [Self::Input, Self::Output, Self::Both, Self::Searches, Self::Cost];

    /// Returns the name used in metrics and in the request log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Both => "input_and_output",
            Self::Searches => "searches",
            Self::Cost => "cost",
        }
    }
}

impl Most {
    /// Returns a report as far as it can be true, and what was doubted. No token is shorter than a byte, so that what was
    /// said, in bytes, may have been written whatever was allowed. What cannot be true is cut to what the request holds, with
    /// nothing added, and to what it allows, or what was said is estimated to be.
    pub fn believe(self, report: &Usage, said_bytes: u64) -> (Usage, Option<Doubt>) {
        let (input, output) = (report.input_tokens(), report.output_tokens());
        let read = self.input.saturating_add(self.added);
        let written = self.output.saturating_add(ENDING_TOKENS).max(said_bytes);
        let doubt = match (input > read, output > written) {
            (false, false) if report.searches > SEARCHES => Doubt::Searches,
            (false, false) => return (*report, None),
            (true, false) => Doubt::Input,
            (false, true) => Doubt::Output,
            (true, true) => Doubt::Both,
        };
        let read = if input > read { self.input } else { input };
        let allowed = self.output.max(estimate_tokens(said_bytes));
        let written = if output > written { allowed } else { output };
        let within_input = |tokens| share(tokens, read, input);
        let within_output = |tokens| share(tokens, written, output);
        let usage = Usage {
            input: within_input(report.input),
            cached_input: within_input(report.cached_input),
            cache_write: within_input(report.cache_write),
            cache_write_1h: within_input(report.cache_write_1h),
            audio_input: within_input(report.audio_input),
            image_input: within_input(report.image_input),
            output: within_output(report.output),
            reasoning: within_output(report.reasoning),
            audio_output: within_output(report.audio_output),
            image_output: within_output(report.image_output),
            searches: report.searches.min(SEARCHES),
            ..*report
        };
        (usage, Some(doubt))
    }
}

/// Returns what an answer amounts to that has outgrown its last report: with a token for every four bytes that were said;
/// `None` where the report has as many. What is reported of sound and pictures stands: of those more bytes make a token.
pub fn outgrown(report: &Usage, said_bytes: u64) -> Option<Usage> {
    let said = estimate_tokens(said_bytes);
    let media = report.audio_output > 0 || report.image_output > 0;
    (said > report.output_tokens() && !media).then(|| report.with_output(said))
}

/// Returns the share of one kind of tokens, where all of them together are cut to the most there can be.
fn share(tokens: u64, most: u64, all: u64) -> u64 {
    if all <= most {
        return tokens;
    }
    let share = u128::from(tokens) * u128::from(most) / u128::from(all.max(1));
    u64::try_from(share).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(most: (u64, u64), said_bytes: u64, report: Usage, expect: (u64, u64), doubt: Option<Doubt>) {
        let most = Most { input: most.0, added: 20, output: most.1 };
        let (usage, found) = most.believe(&report, said_bytes);
        assert_eq!((usage.input_tokens(), usage.output_tokens(), found), (expect.0, expect.1, doubt), "{report:?}");
    }

    #[test]
    fn what_can_be_is_believed() {
        let report = Usage { input: 60, cached_input: 40, output: 10, reasoning: 90, ..Usage::default() };
        check((100, 100), 0, report, (100, 100), None);
        check((80, 99), 0, report, (100, 100), None);
        check((100, 1), 100, report, (100, 100), None);
        check((0, 0), 0, Usage::default(), (0, 0), None);
    }

    #[test]
    fn what_cannot_be_is_cut_to_what_can() {
        let report = Usage { input: 600, cached_input: 400, output: 100, reasoning: 900, ..Usage::default() };
        check((979, 2_000), 0, report, (978, 1_000), Some(Doubt::Input));
        check((980, 500), 0, report, (1_000, 500), Some(Doubt::Output));
        check((10, 4), 60, report, (10, 14), Some(Doubt::Both));
        check((0, 0), 0, report, (0, 0), Some(Doubt::Both));
        let all = Usage { input: u64::MAX, cached_input: u64::MAX, output: u64::MAX, ..Usage::default() };
        let (usage, _) = Most { input: 1_000, added: 0, output: 1_000 }.believe(&all, 0);
        assert!(usage.input <= 1_000 && usage.output <= 1_000, "{usage:?}");
        let searching = Usage { searches: 5_000, output: 3, ..Usage::default() };
        check((1, 1), 9, searching, (0, 3), Some(Doubt::Searches));
        assert_eq!(Most { input: 1, added: 0, output: 1 }.believe(&searching, 9).0.searches, SEARCHES);
    }

    #[test]
    fn an_answer_outgrows_its_report() {
        let report = Usage { input: 9, output: 1, reasoning: 2, ..Usage::default() };
        assert_eq!(outgrown(&report, 12), None);
        assert_eq!(outgrown(&report, 13), Some(Usage { output: 2, ..report }));
        assert_eq!(outgrown(&Usage { audio_output: 1, ..report }, 4_000), None);
    }

    proptest::proptest! {
        #[test]
        fn never_more_than_the_most(most in (0_u64..9_999, 0_u64..9_999, 0_u64..99), said in 0_u64..9_999, kinds in proptest::array::uniform8(0_u64..5_000)) {
            let [input, cached_input, cache_write_1h, audio_input, output, reasoning, audio_output, image_output] = kinds;
            let report = Usage { input, cached_input, cache_write_1h, audio_input, output, reasoning, audio_output, image_output, ..Usage::default() };
            let (usage, doubt) = Most { input: most.0, added: most.2, output: most.1 }.believe(&report, said);
            proptest::prop_assert!(usage.input_tokens() <= most.0 + most.2);
            proptest::prop_assert!(usage.output_tokens() <= said.max(most.1 + ENDING_TOKENS));
            proptest::prop_assert_eq!(doubt.is_none(), usage == report);
        }
    }
}
