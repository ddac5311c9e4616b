//! `crossway apply` and `crossway diff`: resource files against a running gateway.

mod refused;
mod shown;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _, stderr, stdout};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use policy::load::resources::{Document, read};
use policy::problem::Severity;
use policy::secret::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use self::refused::in_files;
use self::shown::value_text;
use crate::cli::{Failure, in_order, variable};
use crate::remote::ServerArgs;

/// The files, and the gateway that they are meant for.
#[derive(Args, Clone, Debug)]
pub struct FileArgs {
    /// A resource file, or a folder of them; repeat for several
    #[arg(short = 'f', long = "file", value_name = "FILE_OR_DIR", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What a gateway did, or would do.
#[derive(Debug, Deserialize)]
struct Changes {
    #[serde(rename = "data", alias = "changes")]
    changes: Vec<Change>,
}

/// What became of one document.
#[derive(Debug, Deserialize)]
struct Change {
    action: String,
    kind: String,
    #[serde(default)]
    environment: String,
    name: String,
    #[serde(default, rename = "diff", alias = "fields")]
    fields: Vec<Field>,
    /// The secret of a key that was made.
    secret: Option<Secret>,
}

/// A member that is different.
#[derive(Debug, Deserialize)]
struct Field {
    path: String,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
}

/// Makes a gateway have what the files say, all of it or nothing.
///
/// # Errors
/// When the gateway cannot be asked, or the file for secrets exists or cannot be written.
pub fn apply(args: &FileArgs, dry_run: bool, key_secrets: Option<&Path>) -> Result<ExitCode, Failure> {
    let secrets = key_secrets.filter(|_| !dry_run).map(SecretsFile::create).transpose()?;
    let Some(changes) = ask(args, dry_run)? else { return Ok(ExitCode::FAILURE) };
    let handed_out = match secrets {
        Some(mut file) => file.write(&changes.changes)?,
        None => false,
    };
    let mut out = stdout().lock();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &changes.changes {
        let done = done(&change.action);
        *counts.entry(done).or_default() += 1;
        let members: Vec<&str> = change.fields.iter().map(|field| member(&field.path)).collect();
        let members = if done == "updated" { format!(": {}", members.join(", ")) } else { String::new() };
        writeln!(out, "{done:<9} {}{members}", change.title())?;
    }
    let counts = ["created", "updated", "unchanged"].map(|done| format!("{} {done}", counts.get(done).unwrap_or(&0)));
    writeln!(out, "{}{}", counts.join(", "), if dry_run { "; nothing was changed (dry run)" } else { "" })?;
    let keys = changes.changes.iter().filter(|change| change.kind == "keys" && change.action == "create").count();
    if keys > 0 && !dry_run && !handed_out {
        writeln!(
            stderr(),
            "Nobody has seen the secrets of the new keys: `crossway keys rotate NAME` makes one to hand out"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A file for the secrets of new keys, which nobody else can read. It is there before anything is asked, so that no secret
/// is lost for want of a place; when it stays empty, it goes away.
struct SecretsFile {
    file: File,
    path: PathBuf,
    used: bool,
}

impl SecretsFile {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self { file, path: path.to_owned(), used: false })
    }

    /// Writes one JSON object a line, and returns true.
    fn write(&mut self, changes: &[Change]) -> Result<bool, Failure> {
        for change in changes {
            let Some(secret) = &change.secret else { continue };
            self.used = true;
            let line = json!({ "environment": change.environment, "name": change.name, "secret": secret.expose() });
            writeln!(self.file, "{line}")?;
        }
        self.file.sync_all()?;
        Ok(true)
    }
}

impl Drop for SecretsFile {
    fn drop(&mut self) {
        if !self.used {
            // An empty file that stays is only in the way of the next one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Shows what `apply` would change: exit code 0 when nothing, 1 when something, 2 when that cannot be said.
///
/// # Errors
/// Never: what fails is printed, so that the exit code says that it failed.
pub fn diff(args: &FileArgs) -> Result<ExitCode, Failure> {
    let changes = match ask(args, true) {
        Ok(Some(changes)) => changes,
        Ok(None) => return Ok(ExitCode::from(2)),
        Err(failure) => {
            crate::logging::complain(&failure);
            return Ok(ExitCode::from(2));
        }
    };
    let different: Vec<&Change> = changes.changes.iter().filter(|change| done(&change.action) != "unchanged").collect();
    let colours = stdout().is_terminal() && variable("NO_COLOR").is_none();
    for change in &different {
        print_change(change, colours)?;
    }
    Ok(if different.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends the documents; `None` when they are refused, which is printed with files and lines.
fn ask(args: &FileArgs, dry_run: bool) -> Result<Option<Changes>, Failure> {
    let resources = read(&args.files, &std::env::current_dir()?, &variable);
    for problem in in_order(&resources.problems) {
        writeln!(stderr(), "{problem}")?;
    }
    let errors = resources.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    if errors > 0 {
        writeln!(stderr(), "{errors} problem{} found; nothing was sent", if errors == 1 { "" } else { "s" })?;
        return Ok(None);
    }
    let remote = args.server.remote()?;
    let body = json!({ "documents": resources.documents.iter().map(as_json).collect::<Vec<_>>() });
    let path = if dry_run { "/admin/v1/apply?dry_run=true" } else { "/admin/v1/apply" };
    let answer = remote.post(path, &body)?;
    let problems = in_files(&answer.body, &resources.documents);
    if answer.status >= 400 && !problems.is_empty() {
        for problem in in_order(&problems) {
            writeln!(stderr(), "{problem}")?;
        }
        let count = problems.len();
        writeln!(stderr(), "{count} problem{} found; nothing was changed", if count == 1 { "" } else { "s" })?;
        return Ok(None);
    }
    let changes = serde_json::from_value(answer.success()?);
    Ok(Some(changes.map_err(|_| "the gateway's answer cannot be understood: it is of another version")?))
}

fn as_json(document: &Document) -> Value {
    json!({
        "kind": document.kind.plural(), "environment": document.environment, "name": document.name,
        "spec": document.spec,
    })
}

fn done(action: &str) -> &str {
    match action {
        "create" | "created" => "created",
        "update" | "updated" => "updated",
        "unchanged" => "unchanged",
        other => other,
    }
}

fn member(path: &str) -> &str {
    path.strip_prefix("spec.").unwrap_or(path)
}

impl Change {
    /// Returns `provider default/openai`.
    fn title(&self) -> String {
        let kind =
            policy::load::resources::kind::Kind::parse(&self.kind).map_or(self.kind.as_str(), |kind| kind.name());
        match kind {
            "environment" => format!("{kind} {}", self.name),
            kind => format!("{kind} {}/{}", self.environment, self.name),
        }
    }
}

fn print_change(change: &Change, colours: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    let paint = |sign: char, text: &str| match (colours, sign) {
        (true, '-') => format!("\x1b[31m{text}\x1b[0m"),
        (true, '+') => format!("\x1b[32m{text}\x1b[0m"),
        _ => text.to_owned(),
    };
    writeln!(out, "@@ {} {} @@", done(&change.action).trim_end_matches('d'), change.title())?;
    for field in &change.fields {
        let name = member(&field.path);
        if name == "spec" && field.before.is_null() && field.after.is_null() {
            writeln!(out, "{}", paint('-', "- (secret)"))?;
            writeln!(out, "{}", paint('+', "+ (secret, another one)"))?;
            continue;
        }
        for (sign, value) in [('-', &field.before), ('+', &field.after)] {
            if !value.is_null() {
                writeln!(out, "{}", paint(sign, &format!("{sign} {name}: {}", value_text(&change.kind, name, value))))?;
            }
        }
    }
    Ok(())
}
