//! `crossway migrate`: brings the databases up to date, as the first start of a new version does by itself.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use store::backup::migrate as migrate_databases;

use crate::assemble::lock;
use crate::cli::{ConfigArgs, Failure};

/// Migrates the databases and says what was done.
///
/// # Errors
/// When a gateway runs on the data directory, or a database is damaged or of a newer version.
pub fn migrate(config: &ConfigArgs) -> Result<ExitCode, Failure> {
    let settings = config.read(false)?.settings;
    let directory = settings.data_dir.display();
    if !settings.data_dir.is_dir() {
        return Err(format!("there is no data directory {directory}: nothing to migrate").into());
    }
    let _lock = lock(&settings.data_dir)?;
    let mut out = stdout().lock();
    for done in migrate_databases(&settings.data_dir)? {
        match done.before {
            None => writeln!(out, "{}: not there yet; the first start makes it", done.file)?,
            Some(before) if before == done.after => writeln!(out, "{}: up to date (version {before})", done.file)?,
            Some(before) => writeln!(out, "{}: migrated from version {before} to {}", done.file, done.after)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
