//! The project's chores: `cargo xtask serve | test | tidy | catalog | reproduce | ci`.
//!
//! Plain Rust with nothing but what the product needs anyhow, so that it builds in seconds in a fresh clone. It is no part
//! of the product: nothing here ships, and the rules for the product's clock and tasks do not bind it.

#![expect(clippy::print_stdout, reason = "a command line tool speaks on stdout")]

mod catalog;
mod ci;
mod reproduce;
mod serve;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

  serve [-- ARGS]   build Crossway and start it with the demo provider
  test              install what the tests need, then run every test
  tidy              check the rules of the house that no compiler checks
  catalog           write data/catalogue.json anew from public price lists and data/models.toml
  reproduce         build the release twice from nothing and compare: takes long
  ci                formatting, lints, tidy, documentation, licences, tests";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let outcome = match command {
        "serve" => serve::run(rest),
        "test" => test::run(),
        "tidy" => tidy::run(),
        "catalog" => catalog::run(),
        "reproduce" => reproduce::run(),
        "ci" => ci::run(),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("unknown command {other:?}\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
