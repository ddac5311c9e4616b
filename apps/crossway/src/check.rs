//! `crossway check`: is the configuration one that can be served?

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;

use policy::load::load;
use policy::problem::Severity;

use crate::cli::{ConfigArgs, Failure, in_order};

/// Prints every problem and says whether the configuration can be served.
///
/// # Errors
/// When the working directory or the terminal fails.
pub fn check(config: &ConfigArgs) -> Result<ExitCode, Failure> {
    let cwd = std::env::current_dir()?;
    let (problems, loaded) = match load(config.config.as_deref(), &cwd, &|name| std::env::var(name).ok(), false) {
        Ok(mut loaded) => (std::mem::take(&mut loaded.warnings), Some(loaded)),
        Err(problems) => (problems, None),
    };
    for problem in in_order(&problems) {
        writeln!(stderr(), "{problem}")?;
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let Some(loaded) = loaded else {
        writeln!(stderr(), "{errors} problem{} found", if errors == 1 { "" } else { "s" })?;
        return Ok(ExitCode::FAILURE);
    };
    if loaded.providers_configured == 0 {
        writeln!(stderr(), "no provider is configured: add one to crossway.toml, or set OPENAI_API_KEY, say")?;
        return Ok(ExitCode::FAILURE);
    }
    let (providers, models) = (loaded.snapshot.providers.len(), loaded.snapshot.models.len());
    writeln!(stdout(), "ok: {providers} provider{}, {models} models", if providers == 1 { "" } else { "s" })?;
    Ok(ExitCode::SUCCESS)
}
