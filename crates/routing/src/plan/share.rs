//! Which of several targets a request gets, and in which order the others follow.

use policy::snapshot::route::{Level, RouteTarget};

/// Returns the places of the usable targets of a level, whose turn it is first, then the heaviest. Who is left out gives
/// its turns to the others by their weights: they go on along the schedule as if it had never been there.
pub(super) fn by_turn(level: &Level, usable: &[usize], turn: u64) -> Vec<usize> {
    let mut order = usable.to_vec();
    order.sort_by_key(|at| std::cmp::Reverse(weight(level, *at)));
    let first = if usable.len() == level.targets.len() {
        let length = level.schedule.len().max(1) as u64;
        usize::try_from(turn % length).ok().and_then(|turn| level.schedule.get(turn)).map(|at| usize::from(*at))
    } else {
        let turns = || level.schedule.iter().map(|at| usize::from(*at)).filter(|at| usable.contains(at));
        let length = turns().count().max(1) as u64;
        usize::try_from(turn % length).ok().and_then(|turn| turns().nth(turn))
    };
    to_front(&mut order, first);
    order
}

/// Returns the places of the usable targets of a level for a caller: always the same order, as long as the targets are
/// the same; one that goes moves its own callers only. Weighted rendezvous hashing (Schindelhauer and Schomaker,
/// "Weighted Distributed Hash Tables", 2005).
pub(super) fn by_caller(level: &Level, usable: &[usize], caller: u64) -> Vec<usize> {
    let distance = |at: &usize| {
        let target = level.targets.get(*at);
        let hash = mixed(caller ^ target.map_or(0, identity));
        // From the open interval between 0 and 1, so that its logarithm is finite and negative.
        let share = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -share.ln() / f64::from(weight(level, *at).max(1))
    };
    let mut order: Vec<(f64, usize)> = usable.iter().map(|at| (distance(at), *at)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    order.into_iter().map(|(_, at)| at).collect()
}

/// Returns a number for a caller's name: the same on every node, today and tomorrow.
pub(super) fn caller(kind: u8, name: &str) -> u64 {
    mixed(hash(u64::from(kind), name.as_bytes()))
}

fn weight(level: &Level, at: usize) -> u32 {
    level.targets.get(at).map_or(0, |target| target.weight)
}

/// Returns a number for a target that stays when others come and go.
fn identity(target: &RouteTarget) -> u64 {
    let credential = match &target.credential {
        policy::snapshot::route::Via::Usual => "",
        policy::snapshot::route::Via::Platform => "platform",
        policy::snapshot::route::Via::Own(name) => name,
    };
    let name = hash(hash(0, target.name.as_bytes()), credential.as_bytes());
    mixed(hash(name, target.provider.as_deref().unwrap_or_default().as_bytes()))
}

/// FNV-1a of 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>), with the length between the parts.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    let begun = (0xcbf2_9ce4_8422_2325 ^ start) ^ bytes.len() as u64;
    bytes.iter().fold(begun, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Spreads a number over all its bits (the end of splitmix64).
fn mixed(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn to_front(order: &mut [usize], first: Option<usize>) {
    let place = order.iter().position(|at| Some(*at) == first);
    if let Some(before) = place.and_then(|place| order.get_mut(..=place)) {
        before.rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::schedule::schedule;
    use policy::snapshot::route::Via;
    use proptest::prelude::*;

    use super::*;

    fn level(weights: &[u32]) -> Level {
        let target = |(at, weight): (usize, &u32)| RouteTarget {
            name: format!("m{at}").into(),
            provider: None,
            models: Vec::new(),
            credential: Via::Usual,
            weight: *weight,
            broken: None,
        };
        let targets = weights.iter().enumerate().map(target).collect();
        Level { priority: 0, targets, schedule: Arc::from(schedule(weights)), slot: 0, place: "".into() }
    }

    #[test]
    fn who_is_left_out_gives_its_turns_by_weight() {
        let level = level(&[5, 3, 2]);
        let mut had = [0; 3];
        for turn in 0..100 {
            had[by_turn(&level, &[1, 2], turn)[0]] += 1;
        }
        assert_eq!(had, [0, 60, 40]);
    }

    #[test]
    fn the_heaviest_follow() {
        let level = level(&[2, 5, 3]);
        for turn in 0..10 {
            let order = by_turn(&level, &[0, 1, 2], turn);
            let rest: Vec<u32> = order[1..].iter().map(|at| level.targets[*at].weight).collect();
            assert!(rest.is_sorted_by(|a, b| a >= b), "{order:?}");
        }
    }

    #[test]
    fn callers_are_shared_by_weight() {
        let level = level(&[70, 20, 10]);
        let mut had = [0_u32; 3];
        for user in 0..20_000 {
            had[by_caller(&level, &[0, 1, 2], caller(0, &format!("user-{user}")))[0]] += 1;
        }
        for (had, exact) in had.into_iter().zip([14_000_u32, 4_000, 2_000]) {
            assert!(had.abs_diff(exact) < 250, "{had} of {exact}");
        }
    }

    /// Nodes of another release agree.
    #[test]
    fn a_caller_gets_what_it_got() {
        let level = level(&[1, 1, 1, 1]);
        let got: Vec<usize> =
            (0..12).map(|user| by_caller(&level, &[0, 1, 2, 3], caller(0, &user.to_string()))[0]).collect();
        assert_eq!(got, GOT);
    }

    const GOT: [usize; 12] = [0, 3, 1, 3, 1, 2, 1, 1, 3, 3, 2, 2];

    proptest! {
        #[test]
        fn one_that_goes_moves_its_own_callers_only(
            weights in prop::collection::vec(1_u32..50, 2..8), user in any::<u64>(), gone in any::<prop::sample::Index>(),
        ) {
            let level = level(&weights);
            let all: Vec<usize> = (0..weights.len()).collect();
            let gone = gone.index(weights.len());
            let left: Vec<usize> = all.iter().copied().filter(|at| *at != gone).collect();
            let (before, after) = (by_caller(&level, &all, user), by_caller(&level, &left, user));
            let expect: Vec<usize> = before.into_iter().filter(|at| *at != gone).collect();
            prop_assert_eq!(after, expect);
        }
    }
}
