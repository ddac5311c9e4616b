//! `crossway keys`: keys in the data directory. A running gateway sees a change within a second.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use control::actor::Actor;
use control::kind::KEYS;
use control::plane::Plane;
use control::publish::{Change, Publish};
use control::refusal::Refusal;
use control::resource::{Draft, Expect, ListQuery, Resource};
use policy::clock::Clock;
use policy::compile::settings::parse_duration;
use serde_json::{Value, json};

use crate::assemble::open_plane;
use crate::cli::{ConfigArgs, Failure, explained};

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
        #[arg(long, default_value = ENVIRONMENT)]
        environment: String,
        /// The team it belongs to
        #[arg(long)]
        team: Option<String>,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// A provider it may use; repeat for several, leave out for all
        #[arg(long = "provider")]
        providers: Vec<String>,
        /// A model it may use; repeat for several, leave out for all
        #[arg(long = "model")]
        models: Vec<String>,
        /// Unix seconds after which it is refused
        #[arg(long)]
        expires_at: Option<u64>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// List keys, revoked ones included
    List {
        /// Only those of this environment
        #[arg(long)]
        environment: Option<String>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Give a key a new secret, which is printed once, alone; the old one works on for the grace time
    Rotate {
        /// Its name, id or prefix
        key: String,
        /// How long the old secret works on, such as 30s, 15m or 24h
        #[arg(long, default_value = "24h")]
        grace: String,
        /// The environment it belongs to
        #[arg(long, default_value = ENVIRONMENT)]
        environment: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Revoke a key by its name, id or prefix; requests in flight are cut off
    Revoke {
        /// Its name, id or prefix
        key: String,
        /// The environment it belongs to
        #[arg(long, default_value = ENVIRONMENT)]
        environment: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Runs a `keys` command.
///
/// # Errors
/// When it fails.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { name, environment, team, description, providers, models, expires_at, config } => {
            let mut spec = json!({"description": description, "providers": providers, "models": models});
            if let Value::Object(spec) = &mut spec {
                spec.extend(team.map(|team| ("team".to_owned(), team.into())));
                spec.extend(expires_at.map(|instant| ("expires_at".to_owned(), instant.into())));
                spec.retain(|_, value| !matches!(value.as_array(), Some(list) if list.is_empty()));
            }
            let Value::Object(spec) = spec else { return Ok(ExitCode::FAILURE) };
            let draft = Draft { name: Some(name), spec };
            let created = open(&config)?.create(&actor(), &environment, KEYS, draft).map_err(explained)?;
            print_secret(created.secret.as_ref())?;
        }
        Command::List { environment, config } => list(&open(&config)?, environment)?,
        Command::Rotate { key, grace, environment, config } => {
            let usage = || format!("--grace {grace:?} is not a time such as 30s, 15m or 24h");
            let grace = parse_duration(&grace).ok_or_else(usage)?;
            rotate(&open(&config)?, &environment, &key, grace)?;
        }
        Command::Revoke { key, environment, config } => {
            let plane = open(&config)?;
            let found = find(&plane, &environment, &key).map_err(explained)?;
            plane.revoke_key(&actor(), &environment, &found.name, Expect::Any).map_err(explained)?;
            writeln!(stderr(), "revoked {} ({}…)", found.name, prefix(&found))?;
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

fn actor() -> Actor {
    Actor::local("command line")
}

/// Finds a key by its name, its id or the first characters of a secret.
fn find(plane: &Plane, environment: &str, given: &str) -> Result<Resource, Refusal> {
    match plane.get(&actor(), environment, KEYS, given) {
        Err(Refusal::NotFound(_)) => plane.key_by_prefix(&actor(), environment, given),
        found => found,
    }
}

fn rotate(plane: &Plane, environment: &str, key: &str, grace: Duration) -> Result<(), Failure> {
    let found = find(plane, environment, key).map_err(explained)?;
    let rotated = plane.rotate_key(&actor(), environment, &found.name, grace, Expect::Any).map_err(explained)?;
    print_secret(rotated.secret.as_ref())
}

fn print_secret(secret: Option<&policy::secret::Secret>) -> Result<(), Failure> {
    writeln!(stdout(), "{}", secret.map_or("", |secret| secret.expose()))?;
    Ok(())
}

fn list(plane: &Plane, environment: Option<String>) -> Result<(), Failure> {
    let mut out = stdout().lock();
    writeln!(out, "{:<12} {:<10} {:<12} NAME", "PREFIX", "STATUS", "ENVIRONMENT")?;
    for environment in environment.map_or_else(|| plane.environments(), |environment| vec![environment]) {
        let mut query = ListQuery { limit: Some(200), ..ListQuery::default() };
        loop {
            let page = plane.list(&actor(), &environment, KEYS, &query).map_err(explained)?;
            for key in &page.data {
                let state = text(key, "state");
                writeln!(out, "{:<12} {state:<10} {environment:<12} {}", format!("{}…", prefix(key)), key.name)?;
            }
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    Ok(())
}

fn prefix(key: &Resource) -> &str {
    text(key, "prefix")
}

fn text<'a>(key: &'a Resource, member: &str) -> &'a str {
    key.status.get(member).and_then(Value::as_str).unwrap_or_default()
}
