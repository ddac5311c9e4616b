//! Whose turn it is: an order in which targets come up exactly as often as their weights say.
//!
//! Drawing at random is right on average and wrong in every sample. Here, after any number of turns, each target has had
//! its exact share, give or take less than one turn (Tijdeman, "The chairman assignment problem", 1980): the turn `k` of a
//! target of share `p` has a release `⌊(k-1)/p⌋` and a deadline `⌈k/p⌉`, and the earliest deadline goes first.

/// The most turns after which a schedule begins anew.
pub const MAX_TURNS: u64 = 10_000;

/// Returns whose turn it is, for as many turns as there are before it all begins anew. Empty for weights that are all
/// zero, too many (more than 256), or too fine (see [`turns`]).
pub fn schedule(weights: &[u32]) -> Vec<u8> {
    let (divisor, turns) = (divisor(weights), turns(weights));
    if turns == 0 || turns > MAX_TURNS || weights.len() > 256 {
        return Vec::new();
    }
    let shares: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) / divisor).collect();
    let mut had = vec![0_u64; shares.len()];
    let mut order = Vec::with_capacity(usize::try_from(turns).unwrap_or(0));
    for turn in 0..turns {
        let released = |at: &usize| {
            let (share, had) = (shares.get(*at).copied().unwrap_or(0), had.get(*at).copied().unwrap_or(0));
            share > 0 && had * turns / share <= turn
        };
        let deadline = |at: &usize| {
            let (share, had) = (shares.get(*at).copied().unwrap_or(1), had.get(*at).copied().unwrap_or(0));
            ((had + 1) * turns).div_ceil(share.max(1))
        };
        let next = (0..shares.len()).filter(released).min_by_key(deadline).unwrap_or(0);
        if let Some(had) = had.get_mut(next) {
            *had += 1;
        }
        order.push(u8::try_from(next).unwrap_or(0));
    }
    order
}

/// Returns after how many turns weights are met exactly: their sum without their common divisor.
pub fn turns(weights: &[u32]) -> u64 {
    weights.iter().map(|weight| u64::from(*weight)).sum::<u64>() / divisor(weights)
}

/// Returns the greatest number that divides all weights; 1 when there is none.
fn divisor(weights: &[u32]) -> u64 {
    let both = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    weights.iter().map(|weight| u64::from(*weight)).fold(0, both).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_ones_are_what_one_would_write_down() {
        let check = |weights: &[u32], expect: &[u8]| assert_eq!(schedule(weights), expect, "{weights:?}");
        check(&[1], &[0]);
        check(&[7], &[0]);
        check(&[1, 1], &[0, 1]);
        check(&[3, 1], &[0, 0, 0, 1]);
        check(&[70, 30], &[0, 0, 1, 0, 0, 1, 0, 0, 0, 1]);
        check(&[2, 0], &[0]);
        check(&[0, 0], &[]);
        check(&[10_000, 1], &[]);
    }

    proptest! {
        #[test]
        fn nobody_is_ever_a_turn_ahead_or_behind(weights in prop::collection::vec(1_u32..400, 1..12)) {
            let order = schedule(&weights);
            let turns = turns(&weights);
            prop_assert_eq!(order.len() as u64, turns);
            let (sum, mut had) = (weights.iter().sum::<u32>(), vec![0_u64; weights.len()]);
            for (turn, at) in (1_u64..).zip(&order) {
                had[usize::from(*at)] += 1;
                for (had, weight) in had.iter().zip(&weights) {
                    // |had - turn * weight / sum| < 1
                    let exact = turn * u64::from(*weight);
                    prop_assert!((had * u64::from(sum)).abs_diff(exact) < u64::from(sum), "{} of {:?}", turn, weights);
                }
            }
        }
    }
}
