//! `crossway check`: is the configuration, with the resource files beside it, one that can be served?

use std::io::{Write as _, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use policy::load::NO_PROVIDER;
use policy::load::resources::{Resources, read};
use policy::load::together::load_with;
use policy::problem::Severity;

use crate::assemble::authorities;
use crate::cli::{ConfigArgs, Failure, in_order, misspelt_variables, variable};

/// Prints every problem and says whether the configuration can be served.
///
/// # Errors
/// When the working directory or the terminal fails.
pub fn check(config: &ConfigArgs, files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let cwd = std::env::current_dir()?;
    let resources = if files.is_empty() { Resources::default() } else { read(files, &cwd, &variable) };
    let documents = resources.documents.len();
    let (mut problems, loaded) = match load_with(config.config.as_deref(), &cwd, &variable, resources) {
        Ok(mut loaded) => (std::mem::take(&mut loaded.warnings), Some(loaded)),
        Err(problems) => (problems, None),
    };
    problems.extend(misspelt_variables());
    if loaded.is_some() {
        let written = policy::load::read(config.config.as_deref(), &cwd, &variable, false);
        problems.extend(written.ok().and_then(|written| authorities(&written).err()).map(|fault| *fault));
    }
    // Nobody checks a configuration that is not there: what a start only warns of is what is wrong here.
    for problem in problems.iter_mut().filter(|problem| files.is_empty() && problem.message == NO_PROVIDER) {
        problem.severity = Severity::Error;
    }
    for problem in in_order(&problems) {
        writeln!(stderr(), "{problem}")?;
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let Some(loaded) = loaded.filter(|_| errors == 0) else {
        writeln!(stderr(), "{errors} problem{} found", plural(errors))?;
        return Ok(ExitCode::FAILURE);
    };
    if loaded.providers_configured == 0 && files.is_empty() {
        writeln!(stderr(), "no provider is configured: add one to crossway.toml, or set OPENAI_API_KEY, say")?;
        return Ok(ExitCode::FAILURE);
    }
    let (providers, models) = (loaded.snapshot.providers.len(), loaded.snapshot.models.len());
    write!(stdout(), "ok: {providers} provider{}, {models} model{}", plural(providers), plural(models))?;
    match documents {
        0 => writeln!(stdout())?,
        documents => writeln!(stdout(), ", {documents} resource{} in files", plural(documents))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
