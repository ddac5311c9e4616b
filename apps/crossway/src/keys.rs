//! `crossway keys`: keys in the data directory. A running gateway has seen a change when the command ends.

mod args;
mod limit;
mod listing;

use std::io::{Write as _, stderr};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use control::actor::Actor;
use control::kind::KEYS;
use control::plane::Plane;
use control::publish::{Change, Publish};
use control::refusal::Refusal;
use control::resource::{Created, Draft, Expect, Resource};
use policy::clock::Clock;

use self::args::SpecArgs;
use self::listing::list;
use crate::assemble::{open_plane, refuse_nothing};
use crate::cli::{ConfigArgs, Failure, explained, hand_out};
use crate::serve::WATCH;

/// The environment that always exists.
const ENVIRONMENT: &str = "default";

#[derive(Subcommand)]
pub enum Command {
    /// Create a key; its secret is printed once, alone
    Create {
        /// A name, unique in the environment
        #[arg(long)]
        name: String,
        /// The environment it belongs to
        #[arg(short = 'E', long, default_value = ENVIRONMENT)]
        environment: String,
        #[command(flatten)]
        spec: Box<SpecArgs>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// List keys, revoked ones included
    List {
        /// One environment instead of all
        #[arg(short = 'E', long)]
        environment: Option<String>,
        /// What the list is written in
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Give a key a new secret, which is printed once, alone; the old one works for the grace time
    Rotate {
        /// Its name, id or prefix
        key: String,
        /// The environment it belongs to
        #[arg(short = 'E', long, default_value = ENVIRONMENT)]
        environment: String,
        /// How long the old secret works on: 90s, 15m, 24h or 7d; 0s ends it at once
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = args::duration)]
        grace: Duration,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Revoke a key for ever; requests in flight are cut off
    Revoke {
        /// Its name, id or prefix
        key: String,
        /// The environment it belongs to
        #[arg(short = 'E', long, default_value = ENVIRONMENT)]
        environment: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// What a list is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people
    Text,
    /// JSON, as the admin API has it
    Json,
}

/// Runs a `keys` command.
///
/// # Errors
/// When it fails.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { name, environment, spec, config } => {
            let draft = Draft { name: Some(name), spec: spec.spec()? };
            let created = open(&config)?.create(&actor(), &environment, KEYS, draft).map_err(explained)?;
            seen();
            print_secret(&created, &environment)?;
        }
        Command::List { environment, format, config } => list(&existing(&config)?, environment, format)?,
        Command::Rotate { key, environment, grace, config } => {
            let plane = existing(&config)?;
            let name = named(&plane, &environment, &key)?;
            let rotated = plane.rotate_key(&actor(), &environment, &name, grace, Expect::Any).map_err(explained)?;
            seen();
            print_secret(&rotated, &environment)?;
        }
        Command::Revoke { key, environment, config } => {
            let plane = existing(&config)?;
            let name = named(&plane, &environment, &key)?;
            let revoked = plane.revoke_key(&actor(), &environment, &name, Expect::Any).map_err(explained)?;
            seen();
            writeln!(stderr(), "revoked {} ({}…)", revoked.name, status(&revoked, "prefix"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Nothing listens here: a running gateway reads what is written.
struct Nobody;

impl Publish for Nobody {
    fn publish(&self, _: Vec<Change>) {}
}

fn open(config: &ConfigArgs) -> Result<Plane, Failure> {
    open_plane(config.read(false)?, Arc::new(Nobody), &Clock::system())
}

/// Opens what is there: only making a key makes a data directory.
fn existing(config: &ConfigArgs) -> Result<Plane, Failure> {
    refuse_nothing(&config.read(false)?.settings.data_dir)?;
    open(config)
}

fn actor() -> Actor {
    Actor::local("command line")
}

/// Waits until a running gateway has seen what was written: a secret works when it is printed.
fn seen() {
    thread::park_timeout(WATCH * 3 / 2);
}

fn print_secret(created: &Created, environment: &str) -> Result<(), Failure> {
    let secret = created.secret.as_ref().ok_or("no secret was made")?;
    let remedy = format!("make another one with: crossway keys rotate -E {environment} {:?}", created.resource.name);
    hand_out(secret, &remedy)
}

/// Returns the name of a key that somebody named: a name wins over an id, an id over a prefix.
fn named(plane: &Plane, environment: &str, given: &str) -> Result<String, Failure> {
    let found = match plane.get(&actor(), environment, KEYS, given) {
        Err(Refusal::NotFound(_)) => plane.key_by_prefix(&actor(), environment, given),
        other => other,
    };
    Ok(found.map_err(explained)?.name)
}

fn status<'a>(key: &'a Resource, member: &str) -> &'a str {
    key.status.get(member).and_then(serde_json::Value::as_str).unwrap_or_default()
}
