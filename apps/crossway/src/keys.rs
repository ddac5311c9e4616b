//! `crossway keys`: keys in the data directory. A running gateway sees a change within a second.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;

use clap::Subcommand;
use policy::clock::Clock;
use policy::spec::key::KeySpec;
use policy::spec::timestamp::Timestamp;
use store::resources::Control;
use store::seal::MasterKey;

use crate::assemble::{master_key, prepare_data_dir};
use crate::cli::{ConfigArgs, Failure};

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
            create(&config, &environment, &name, spec)?;
        }
        Command::List { config } => list(&config)?,
        Command::Revoke { key, environment, config } => {
            let control = open(&config)?.0;
            let row = control.revoke_key(&environment, &key, Clock::system().unix_ms())?;
            writeln!(stderr(), "revoked {} ({}…)", row.name, row.prefix)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(config: &ConfigArgs) -> Result<(Control, MasterKey), Failure> {
    let settings = config.load(false)?.settings;
    prepare_data_dir(&settings.data_dir)?;
    let master = master_key(&settings)?;
    Ok((Control::open(&settings.data_dir)?, master))
}

fn create(config: &ConfigArgs, environment: &str, name: &str, spec: KeySpec) -> Result<(), Failure> {
    if environment != ENVIRONMENT {
        return Err(format!("there is no environment `{environment}`; the environment is `{ENVIRONMENT}`").into());
    }
    let (control, master) = open(config)?;
    let (_, secret) = control.create_key(environment, name, spec, &master, Clock::system().unix_ms())?;
    writeln!(stdout(), "{}", secret.expose())?;
    Ok(())
}

fn list(config: &ConfigArgs) -> Result<(), Failure> {
    let mut out = stdout().lock();
    writeln!(out, "{:<12} {:<10} {:<12} NAME", "PREFIX", "STATUS", "ENVIRONMENT")?;
    for row in open(config)?.0.list_keys(None)? {
        let status = format!("{:?}", row.status());
        writeln!(out, "{:<12} {status:<10} {:<12} {}", format!("{}…", row.prefix), row.environment, row.name)?;
    }
    Ok(())
}
