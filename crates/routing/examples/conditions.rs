//! Compares the router with other policies under changing conditions:
//! `cargo run --release -p routing --example conditions -- DIRECTORY FIRST_SEED SEEDS`.

#[path = "../tests/conditions/drive.rs"]
mod drive;
#[path = "../tests/conditions/peers.rs"]
mod peers;
#[path = "../tests/conditions/recorded.rs"]
mod recorded;
#[path = "../tests/conditions/report.rs"]
mod report;
#[path = "../tests/conditions/router.rs"]
mod router;
#[path = "../tests/conditions/scenarios.rs"]
mod scenarios;
#[path = "../tests/conditions/traces.rs"]
mod traces;
#[path = "../tests/conditions/world.rs"]
mod world;

use std::path::Path;

use self::drive::{Run, as_recorded, causal};
use self::peers::{LeastLoaded, MovingAverage, Oracle, PeakOfTwo, Policy, RoundRobin};
use self::report::Figures;
use self::router::Router;
use self::scenarios::{LENGTH_S, scenarios};
use self::traces::Traces;
use self::world::World;

type Make = fn(u64) -> Box<dyn Policy>;
type Drive = fn(&mut dyn Policy, &mut World, &Traces) -> Run;

/// The table's heading.
const HEADING: &str = "\
| policy | mean | p50 | p95 | p99 | p99.9 | client errors | more than one try | calls/request | hedges \
| wasted calls/incident in 5 s, in all | back after p50 / p90 |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

const PEERS: [(&str, Make); 5] = [
    ("state oracle", |_| Box::new(Oracle)),
    ("round robin", |_| Box::<RoundRobin>::default()),
    ("least loaded", |_| Box::<LeastLoaded>::default()),
    ("moving average", |_| Box::<MovingAverage>::default()),
    ("peak-EWMA, two choices", |_| Box::<PeakOfTwo>::default()),
];

const ROUTERS: [(&str, Make); 2] = [
    ("router", |seed| Box::new(Router::new(seed, 0))),
    ("router, hedges up to 3 %", |seed| Box::new(Router::new(seed, 30))),
];

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("the directory of the recordings is missing")?;
    let mut number =
        |missing| arguments.next().map_or(Ok(missing), |text| text.parse::<u64>().map_err(|e| e.to_string()));
    let (first, seeds) = (number(0)?, number(3)?);
    let only = arguments.next();
    let traces = recorded::read(Path::new(&directory))?;
    let table = |heading: &str, drive: Drive, policies: &[(&str, Make)]| {
        println!("\n{heading}, seeds {first} to {}\n\n{HEADING}", first + seeds - 1);
        let mut by_kind = String::new();
        for (name, make) in policies {
            let mut figures = Figures::default();
            for seed in first..first + seeds {
                let mut world = World::new(seed, &traces);
                let run = drive(make(seed).as_mut(), &mut world, &traces);
                let oracle = causal(&mut Oracle, &mut World::new(seed, &traces), &traces);
                figures.add(&run, &world, &oracle);
            }
            println!("{}", figures.line(name));
            by_kind.extend([&*figures.by_kind(name), "\n"]);
        }
        println!(
            "\n| wasted in 5 s + later · back after p50 / p90 | {} |\n|---{}|",
            world::Kind::NAMES.join(" | "),
            "|--:".repeat(5)
        );
        print!("{by_kind}");
    };
    if only.as_deref() != Some("router") {
        table("As the simulator runs them", as_recorded, &PEERS);
        table("In the order of time", causal, &PEERS);
    }
    let oracle = &PEERS[..usize::from(only.is_some())];
    table("In the order of time", causal, &[oracle, &ROUTERS].concat());
    if only.as_deref() == Some("router") {
        return Ok(());
    }
    let short = Traces {
        arrivals: traces.arrivals.iter().copied().take_while(|at| *at < LENGTH_S).collect(),
        latencies: traces.latencies.clone(),
    };
    for (name, incidents) in scenarios() {
        println!("\n{name}, seeds {first} to {}\n\n{HEADING}", first + seeds - 1);
        for (policy, make) in PEERS.iter().chain(&ROUTERS) {
            let mut figures = Figures::default();
            for seed in first..first + seeds {
                let new = || World::of(seed, &short, incidents.clone());
                let mut world = new();
                let run = causal(make(seed).as_mut(), &mut world, &short);
                figures.add(&run, &world, &causal(&mut Oracle, &mut new(), &short));
            }
            println!("{}", figures.line(policy));
        }
    }
    Ok(())
}
