//! The router under changing conditions, on made-up traces: half an hour of virtual time, the same for the same seed.
//! `examples/conditions.rs` runs the same on recorded ones.

mod drive;
mod made;
mod peers;
mod report;
mod router;
mod scenarios;
mod traces;
mod world;

use self::drive::{Run, as_recorded, causal};
use self::made::made;
use self::peers::{LeastLoaded, MovingAverage, Oracle, PeakOfTwo, Policy, RoundRobin};
use self::report::Figures;
use self::router::Router;
use self::scenarios::{LENGTH_S, scenarios};
use self::traces::Traces;
use self::world::World;

const SEEDS: std::ops::Range<u64> = 0..6;

fn figures(drive: fn(&mut dyn Policy, &mut World, &Traces) -> Run, make: impl Fn(u64) -> Box<dyn Policy>) -> Figures {
    let mut figures = Figures::default();
    for seed in SEEDS {
        let traces = made(seed, 1800.0);
        let oracle = causal(&mut Oracle, &mut World::new(seed, &traces), &traces);
        let mut world = World::new(seed, &traces);
        let run = drive(make(seed).as_mut(), &mut world, &traces);
        figures.add(&run, &world, &oracle);
    }
    figures
}

#[test]
fn the_router_stays_near_what_a_router_that_knows_everything_does() {
    let oracle = figures(causal, |_| Box::new(Oracle));
    for (name, router) in [
        ("router", figures(causal, |seed| Box::new(Router::new(seed, 0)))),
        ("with hedges", figures(causal, |seed| Box::new(Router::new(seed, 30)))),
    ] {
        let line = router.line(name);
        assert!(router.mean() < 1.35 * oracle.mean(), "{line}\n{}", oracle.line("oracle"));
        assert!(router.quantile(0.99) < 2.5 * oracle.quantile(0.99), "{line}\n{}", oracle.line("oracle"));
        assert!(router.errors() < 0.001, "{line}");
        assert!(router.calls() < 1.10, "{line}");
        assert!(router.hedges() <= 0.03, "{line}");
        assert!(router.early() < 2.0, "{line}\n{}", router.by_kind(name));
        // Without a second request as a net, slow targets are looked at as often, but the looks take longer.
        let patience = if name == "router" { 30.0 } else { 16.0 };
        assert!(router.back(0.9) < patience, "{line}\n{}", router.by_kind(name));
    }
}

#[test]
fn the_router_is_better_than_those_who_know_as_little() {
    let router = figures(causal, |seed| Box::new(Router::new(seed, 0)));
    let peers: [(&str, Figures); 4] = [
        ("least loaded", figures(causal, |_| Box::<LeastLoaded>::default())),
        ("round robin", figures(causal, |_| Box::<RoundRobin>::default())),
        ("moving average", figures(causal, |_| Box::<MovingAverage>::default())),
        ("peak-EWMA", figures(causal, |_| Box::<PeakOfTwo>::default())),
    ];
    for (name, peer) in peers {
        assert!(router.mean() < 0.8 * peer.mean(), "{}\n{}", router.line("router"), peer.line(name));
        assert!(router.calls() < peer.calls(), "{}\n{}", router.line("router"), peer.line(name));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let line = || figures(causal, |seed| Box::new(Router::new(seed, 30))).line("router");
    assert_eq!(line(), line());
}

#[test]
fn the_recorded_order_of_events_gives_the_oracle_what_the_order_of_time_gives_it() {
    let (one, other) = (figures(as_recorded, |_| Box::new(Oracle)), figures(causal, |_| Box::new(Oracle)));
    assert!((one.mean() / other.mean() - 1.0).abs() < 0.05, "{}\n{}", one.line("recorded"), other.line("causal"));
}

/// Returns the figures of a policy in one kind of trouble.
fn in_trouble(incidents: &[world::Incident], make: impl Fn(u64) -> Box<dyn Policy>) -> Figures {
    let mut figures = Figures::default();
    for seed in 0..2 {
        let traces = made(seed, LENGTH_S);
        let new = || World::of(seed, &traces, incidents.to_vec());
        let oracle = causal(&mut Oracle, &mut new(), &traces);
        let mut world = new();
        let run = causal(make(seed).as_mut(), &mut world, &traces);
        figures.add(&run, &world, &oracle);
    }
    figures
}

#[test]
fn every_kind_of_trouble_is_got_over() {
    for (name, incidents) in scenarios() {
        let oracle = in_trouble(&incidents, |_| Box::new(Oracle));
        let router = in_trouble(&incidents, |seed| Box::new(Router::new(seed, 30)));
        let line = format!("{name}\n{}\n{}", router.line("router"), oracle.line("oracle"));
        assert!(router.mean() < 1.5 * oracle.mean(), "{line}");
        // In the storm there is not enough for all.
        assert!(router.errors() < 1.2 * oracle.errors() + 0.001, "{line}");
        assert!(router.calls() < 1.12 * oracle.calls(), "{line}");
        assert!(router.hedges() <= 0.03, "{line}");
        for (peer, figures) in [
            ("round robin", in_trouble(&incidents, |_| Box::<RoundRobin>::default())),
            ("least loaded", in_trouble(&incidents, |_| Box::<LeastLoaded>::default())),
        ] {
            assert!(router.mean() < figures.mean(), "{line}\n{}", figures.line(peer));
        }
    }
}

/// The router chooses by the prices that hold when it chooses.
#[test]
fn a_change_of_prices_moves_the_next_request() {
    use routing::goal::Goal;
    use routing::rank::{Candidate, rank};
    use routing::signal::{Kind, Reading};
    let mut ranked = Vec::new();
    let mut first = |prices: [u64; 3]| {
        let candidates = prices.map(|nanos| Candidate {
            reading: Reading::unknown(Kind::Stream),
            nanos: Some(nanos),
            quality: Some(60.0),
            output_tokens: 300,
            family: 0,
            warm: false,
        });
        rank(&candidates, &Goal::Cheapest.weights(), 1, &mut ranked);
        ranked[0].at
    };
    assert_eq!([first([10, 20, 30]), first([40, 20, 30]), first([40, 50, 30])], [0, 1, 2]);
}
