//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use control::refusal::Refusal;
use policy::load::{Written, read};
use policy::problem::Problem;

use crate::{check, keys, serve};

/// What a command fails with: one line, or several, for people.
pub type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(name = "crossway", version, about = "A self-hosted AI gateway: one endpoint, one key, every model")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve {
        #[command(flatten)]
        config: ConfigArgs,
        /// Add the built-in demo provider and print a fresh key
        #[arg(long)]
        demo: bool,
    },
    /// Validate the configuration: every problem at once, with file and line
    Check {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Create, list, rotate and revoke API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Print the version
    Version,
}

/// Which configuration is meant.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// The configuration file; without it crossway.toml or Config.toml in the working directory, if there
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads the configuration. Whether it goes together with what is stored is for the control plane to say.
    ///
    /// # Errors
    /// With every problem.
    pub fn read(&self, demo: bool) -> Result<Written, Failure> {
        let cwd = std::env::current_dir()?;
        read(self.config.as_deref(), &cwd, &|name| std::env::var(name).ok(), demo).map_err(|problems| all(&problems))
    }
}

/// Joins problems into one failure.
fn all(problems: &[Problem]) -> Failure {
    let lines: Vec<String> = in_order(problems).into_iter().map(ToString::to_string).collect();
    lines.join("\n").into()
}

/// Returns a failure that says all that a refusal does.
pub fn explained(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Invalid(problems) => all(&problems),
        Refusal::Unavailable(error) => error.into(),
        other => other.into(),
    }
}

/// Returns problems in the order of their lines, as one works through a file.
pub fn in_order(problems: &[Problem]) -> Vec<&Problem> {
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|problem| (&problem.file, problem.line));
    sorted
}

/// Runs the command that was given.
///
/// # Errors
/// When it fails.
pub fn run() -> Result<ExitCode, Failure> {
    match Cli::parse().command {
        Command::Serve { config, demo } => serve::serve(&config, demo),
        Command::Check { config } => check::check(&config),
        Command::Keys(command) => keys::run(command),
        Command::Version => {
            writeln!(std::io::stdout(), "crossway {}", env!("CARGO_PKG_VERSION"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
