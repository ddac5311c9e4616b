//! `crossway credits`: credits in the data directory. A running gateway counts them within a second.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Subcommand, ValueEnum};
use control::actor::Actor;
use control::plane::Plane;
use control::publish::{Change, Publish};
use ir::money::SignedNanos;
use policy::clock::Clock;
use server::credits::audit;
use store::records::ledger::credit::{Ledger, NewCredit, Posted};
use store::records::ledger::read::Entry;
use store::records::ledger::{Account, CreditKind};
use store::records::read::RecordsReader;

use crate::assemble::{open_plane, refuse_nothing};
use crate::cli::{ConfigArgs, Failure, explained};
use crate::keys::Format;

/// The environment that always exists.
const ENVIRONMENT: &str = "default";

#[derive(Subcommand)]
pub enum Command {
    /// Post a top-up, a promotion, a refund or an adjustment; posted again by its reference it changes nothing
    Add {
        /// US dollars, such as 25.50; an adjustment may be negative
        #[arg(long, allow_hyphen_values = true)]
        amount: String,
        /// What names it, unique in the environment: the number of an invoice, say
        #[arg(long)]
        reference: String,
        /// What it is
        #[arg(long, value_enum, default_value_t = Kind::TopUp)]
        kind: Kind,
        /// What people should know of it
        #[arg(long, default_value = "")]
        note: String,
        /// The environment
        #[arg(short = 'E', long, default_value = ENVIRONMENT)]
        environment: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// List what was posted, charges apart, newest first, and the balance
    List {
        /// The environment
        #[arg(short = 'E', long, default_value = ENVIRONMENT)]
        environment: String,
        /// What the list is written in
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Why credits change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// A payment came in
    TopUp,
    /// Credits are given away
    Promotion,
    /// A payment is given back
    Refund,
    /// A correction
    Adjustment,
}

impl From<Kind> for CreditKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::TopUp => Self::TopUp,
            Kind::Promotion => Self::Promotion,
            Kind::Refund => Self::Refund,
            Kind::Adjustment => Self::Adjustment,
        }
    }
}

/// Runs a `credits` command.
///
/// # Errors
/// When it fails.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Add { amount, reference, kind, note, environment, config } => {
            let kind = CreditKind::from(kind);
            let amount = SignedNanos::dollars(&amount).map_err(|error| format!("--amount is {error}"))?;
            let credits = kind.signed(amount);
            let actor = Actor::local("command line").name;
            add(&config, &NewCredit { environment, kind, credits, reference, note, actor }.checked()?)?;
        }
        Command::List { environment, format, config } => list(&config, &environment, format)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Nothing listens here: a running gateway reads what is written.
struct Nobody;

impl Publish for Nobody {
    fn publish(&self, _: Vec<Change>) {}
}

fn open(config: &ConfigArgs, environment: &str) -> Result<Plane, Failure> {
    let plane = open_plane(config.read(false)?, Arc::new(Nobody), &Clock::system())?;
    if plane.environments().iter().any(|known| known == environment) {
        return Ok(plane);
    }
    Err(format!("there is no environment {environment:?}").into())
}

fn add(config: &ConfigArgs, new: &NewCredit) -> Result<(), Failure> {
    let plane = open(config, &new.environment)?;
    let directory = config.read(false)?.settings.data_dir;
    let posted = Ledger::open(&directory)?.post(new, Clock::system().unix_ms())?;
    match &posted {
        Posted::Now { credit, balance } => {
            audit(&plane, &Actor::local("command line"), credit, *balance).map_err(explained)?;
            writeln!(stdout(), "{}", credit.id)?;
            writeln!(stderr(), "posted; the balance is {balance} US dollars")?;
        }
        Posted::Before(credit) => {
            writeln!(stdout(), "{}", credit.id)?;
            writeln!(stderr(), "the reference was posted before: nothing was changed")?;
        }
    }
    Ok(())
}

fn list(config: &ConfigArgs, environment: &str, format: Format) -> Result<(), Failure> {
    let directory = config.read(false)?.settings.data_dir;
    refuse_nothing(&directory)?;
    open(config, environment)?;
    let mut entries = Vec::new();
    let mut balance = SignedNanos(0);
    if let Some(reader) = RecordsReader::open_for_audit(&directory)? {
        balance = SignedNanos(reader.ledger_accounts(environment)?.of(Account::Credits));
        let mut all = reader.credits_after(0)?;
        all.retain(|credit| credit.given.environment == environment);
        entries.extend(all.iter().rev().map(Entry::of));
    }
    let mut out = stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?,
        Format::Text => {
            writeln!(out, "{:<25} {:<11} {:>16}  REFERENCE", "POSTED", "KIND", "US DOLLARS")?;
            for Entry { at, kind, amount_usd, reference, .. } in &entries {
                writeln!(out, "{at:<25} {kind:<11} {amount_usd:>16}  {}", reference.as_deref().unwrap_or_default())?;
            }
            writeln!(out, "the balance is {balance} US dollars")?;
        }
    }
    Ok(())
}
