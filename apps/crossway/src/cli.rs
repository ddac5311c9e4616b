//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use control::refusal::Refusal;
use policy::load::environment::misspelt;
use policy::load::{Written, read};
use policy::problem::Problem;
use policy::secret::Secret;

use crate::apply::{self, FileArgs};
use crate::export::{self, Format};
use crate::remote::ServerArgs;
use crate::{audit, backup, check, credits, keys, ledger, limits, migrate, people, restore, serve};

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
    /// Validate the configuration and resource files: every problem at once, with file and line
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// A resource file, or a folder of them; repeat for several
        #[arg(short = 'f', long = "file", value_name = "FILE_OR_DIR")]
        files: Vec<PathBuf>,
    },
    /// Make a running gateway have what resource files say: all of it, or nothing
    Apply {
        #[command(flatten)]
        files: FileArgs,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// A file to write the secrets of new keys into, one JSON object a line; it must not exist
        #[arg(long, value_name = "FILE")]
        key_secrets: Option<PathBuf>,
    },
    /// Show what apply would change; exit code 0 when nothing, 1 when something, 2 when it cannot be said
    Diff {
        #[command(flatten)]
        files: FileArgs,
    },
    /// Write what a running gateway has as resource files, without secrets
    Export {
        #[command(flatten)]
        server: ServerArgs,
        /// One environment instead of all
        #[arg(short = 'E', long, value_name = "NAME")]
        environment: Option<String>,
        /// The folder to write into, one file a resource; without it everything goes to stdout
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// What the files are written in
        #[arg(long, value_enum, default_value_t = Format::Yaml)]
        format: Format,
    },
    /// Create, list, rotate and revoke API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Post and list credits of an environment's account
    #[command(subcommand)]
    Credits(credits::Command),
    /// Show what limits have left, and whose use they count
    #[command(subcommand)]
    Limits(limits::Command),
    /// Verify the ledger
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Back up the data directory into one file, while the gateway runs
    Backup {
        /// The file to write; it must not exist
        file: PathBuf,
        /// Put the master key into it too: then the file alone is enough to restore, and to read every credential
        #[arg(long)]
        include_master_key: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Restore a backup into the data directory, which has to be empty
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Bring the databases up to date; the first start of a new version does the same
    Migrate {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Check that the audit log is as it was written
    #[command(subcommand)]
    Audit(audit::Command),
    /// Print the OpenAPI document of the admin API
    Openapi,
    /// Invite and list people, and make codes for new passwords
    #[command(subcommand)]
    People(people::Command),
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
        let mut written = read(self.config.as_deref(), &cwd, &variable, demo).map_err(|problems| all(&problems))?;
        written.warnings.extend(misspelt_variables());
        Ok(written)
    }
}

/// Prints a secret that is shown once.
///
/// # Errors
/// When it cannot be written: then nobody has seen it, and `remedy` says how to get another one.
pub fn hand_out(secret: &Secret, remedy: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", secret.expose()).and_then(|()| out.flush()).map_err(|error| {
        format!("it was made, but nobody has seen it, for the output cannot be written: {error}; {remedy}").into()
    })
}

/// Returns the value of an environment variable.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Warns of environment variables that are nearly named like one that is read.
pub fn misspelt_variables() -> Vec<Problem> {
    let mut names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    names.sort_unstable();
    misspelt(names.iter().map(String::as_str))
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
        Command::Check { config, files } => check::check(&config, &files),
        Command::Apply { files, dry_run, key_secrets } => apply::apply(&files, dry_run, key_secrets.as_deref()),
        Command::Diff { files } => apply::diff(&files),
        Command::Export { server, environment, output, format } => {
            export::export(&server, environment.as_deref(), output.as_deref(), format)
        }
        Command::Backup { file, include_master_key, config } => backup::backup(&config, &file, include_master_key),
        Command::Restore { file, config } => restore::restore(&config, &file),
        Command::Migrate { config } => migrate::migrate(&config),
        Command::Keys(command) => keys::run(command),
        Command::Credits(command) => credits::run(command),
        Command::Limits(command) => limits::run(&command),
        Command::Ledger(command) => ledger::run(&command),
        Command::Audit(command) => audit::run(command),
        Command::Openapi => {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&server::admin::openapi::document())?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::People(command) => people::run(command),
        Command::Version => {
            writeln!(std::io::stdout(), "crossway {}", env!("CARGO_PKG_VERSION"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
