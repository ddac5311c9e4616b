//! `crossway keys`: keys in the data directory. A running gateway sees a change within a second.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use control::actor::Actor;
use control::plane::Plane;
use control::publish::{Change, Publish};
use control::refusal::Refusal;
use control::resource::{Draft, Expect, ListQuery, Resource};
use policy::clock::Clock;
use policy::spec::key::KeySpec;
use policy::spec::timestamp::Timestamp;

use crate::assemble::{open_plane, prepare_data_dir};
use crate::cli::{ConfigArgs, Failure, all};

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
            let expires_at = expires_at.map(Timestamp);
            let spec = KeySpec { team, description, providers, models, expires_at, ..KeySpec::default() };
            create(&config, &environment, &name, &spec)?;
        }
        Command::List { config } => list(&config)?,
        Command::Revoke { key, environment, config } => {
            revoke(&open(&config)?, &environment, &key)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(config: &ConfigArgs) -> Result<Plane, Failure> {
    let written = config.read(false)?;
    prepare_data_dir(&written.settings.data_dir)?;
    open_plane(written, Arc::new(Nobody), Clock::system())
}

/// A gateway that runs sees the change in the database.
struct Nobody;

impl Publish for Nobody {
    fn publish(&self, _: Vec<Change>) {}
}

fn actor() -> Actor {
    Actor::local("command line")
}

fn explained(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Invalid(problems) => all(&problems),
        other => other.into(),
    }
}

fn create(config: &ConfigArgs, environment: &str, name: &str, spec: &KeySpec) -> Result<(), Failure> {
    let serde_json::Value::Object(mut spec) = serde_json::to_value(spec)? else { return Err("not a spec".into()) };
    spec.retain(|_, value| !value.is_null());
    let draft = Draft { name: Some(name.to_owned()), spec };
    let created = open(config)?.create(&actor(), environment, "keys", draft).map_err(explained)?;
    writeln!(stdout(), "{}", created.secret.as_ref().map_or("", |secret| secret.expose()))?;
    Ok(())
}

/// A name wins over an id, an id over a prefix.
fn revoke(plane: &Plane, environment: &str, given: &str) -> Result<(), Failure> {
    let found = match plane.get(&actor(), environment, "keys", given) {
        Err(Refusal::NotFound(_)) => plane.key_by_prefix(&actor(), environment, given),
        other => other,
    };
    let name = found.map_err(explained)?.name;
    let revoked = plane.revoke_key(&actor(), environment, &name, Expect::Any).map_err(explained)?;
    writeln!(stderr(), "revoked {} ({}…)", revoked.name, status(&revoked, "prefix"))?;
    Ok(())
}

fn list(config: &ConfigArgs) -> Result<(), Failure> {
    let plane = open(config)?;
    let mut out = stdout().lock();
    writeln!(out, "{:<12} {:<10} {:<12} NAME", "PREFIX", "STATUS", "ENVIRONMENT")?;
    for environment in plane.environments() {
        let mut query = ListQuery { limit: Some(200), ..ListQuery::default() };
        loop {
            let page = plane.list(&actor(), &environment, "keys", &query).map_err(explained)?;
            for key in &page.data {
                let (prefix, state) = (format!("{}…", status(key, "prefix")), status(key, "state"));
                writeln!(out, "{prefix:<12} {state:<10} {environment:<12} {}", key.name)?;
            }
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    Ok(())
}

fn status<'a>(key: &'a Resource, member: &str) -> &'a str {
    key.status.get(member).and_then(serde_json::Value::as_str).unwrap_or_default()
}
