//! `crossway ledger`: proves that the ledger balances and matches records and journal. It changes nothing, and may run
//! beside a gateway.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use clap::Subcommand;
use settle::audit::audit_journal;
use settle::journal::disk::RealDisk;
use store::records::read::RecordsReader;

use crate::assemble::refuse_nothing;
use crate::cli::{ConfigArgs, Failure};

#[derive(Subcommand)]
pub enum Command {
    /// Check that every transfer adds up, that balances are what was posted, and that records, ledger and journal agree; exit
    /// code 0 when they do, 1 when they do not
    Verify {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Runs a `ledger` command.
///
/// # Errors
/// When it cannot be said.
pub fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify { config } => verify(config),
    }
}

fn verify(config: &ConfigArgs) -> Result<ExitCode, Failure> {
    let directory = config.read(false)?.settings.data_dir;
    let mut out = stdout().lock();
    let Some(reader) = RecordsReader::open_for_audit(&directory)? else {
        refuse_nothing(&directory)?;
        writeln!(out, "there are no records in {}: nothing to verify", directory.display())?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut audit = reader.audit()?;
    audit.tables()?;
    let journal = audit_journal(&RealDisk, &directory, &mut audit)?;
    let verdict = audit.verdict();
    for fault in &verdict.named {
        writeln!(out, "fault: {fault}")?;
    }
    let unnamed = verdict.faults - verdict.named.len() as u64;
    if unnamed > 0 {
        writeln!(out, "and {unnamed} faults more")?;
    }
    writeln!(
        out,
        "environments: {}, charges: {} ({} with their record), other transfers: {}",
        verdict.environments, verdict.charges, verdict.with_record, verdict.credits
    )?;
    writeln!(
        out,
        "journal: {} settlements committed, {} still to be committed, in {} segments",
        journal.committed, journal.pending, journal.segments
    )?;
    if verdict.faults > 0 {
        writeln!(out, "the ledger is FAULTY: {} faults", verdict.faults)?;
        return Ok(ExitCode::FAILURE);
    }
    writeln!(out, "the ledger balances, and matches records and journal")?;
    Ok(ExitCode::SUCCESS)
}
