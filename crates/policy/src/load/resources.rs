//! Resource files: what `crossway apply`, `diff` and `check` read, as people keep it in version control.
//!
//! A file holds documents, each one resource: its `kind`, `environment`, `name` and `spec`. YAML files hold any number
//! of them, TOML and JSON files one. Nothing here knows a server: a document says what is wanted, and where it says so.

mod files;
pub mod kind;
mod node;
mod scalar;
mod toml_text;
mod typed;
pub mod write;
mod yaml;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use self::kind::{Kind, Typed};
use self::node::{Member, Node, Written, members_to_json};
use self::yaml::Flaw;
use super::Lookup;
use super::document::expand;
use crate::problem::{Origin, Problem};

/// The environment of a document that names none.
const ENVIRONMENT: &str = "default";

/// How many faults of one file are named.
const FAULTS_SHOWN: usize = 1_000;

/// One resource that somebody wrote.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its kind.
    pub kind: Kind,
    /// The environment it belongs to; its own name for an environment.
    pub environment: String,
    /// Its name.
    pub name: String,
    /// Its members as JSON, variables put in. It may hold secrets.
    pub spec: Map<String, Value>,
    /// What its members mean.
    pub typed: Typed,
    /// Where it was written.
    pub origin: Origin,
}

/// What a set of files says.
#[derive(Debug, Default)]
pub struct Resources {
    /// The resources without faults, in the order of the files and of their lines.
    pub documents: Vec<Document>,
    /// Those with faults, as far as they could be read: what refers to them is not at fault too.
    pub faulty: Vec<Document>,
    /// What is wrong, or worth knowing.
    pub problems: Vec<Problem>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// Reads files and folders. Folders are searched for `*.yaml`, `*.yml`, `*.toml` and `*.json`, also in their folders;
/// hidden files, and links that lead out of the folder, are left out.
pub fn read(paths: &[PathBuf], cwd: &Path, env: Lookup<'_>) -> Resources {
    let mut resources = Resources::default();
    for file in files::find(paths, cwd, &mut resources.problems) {
        let Some(text) = super::text_of(&file.path, &file.name, &mut resources.problems) else { continue };
        let mut parsed = parse(&file.name, &text, env);
        resources.documents.append(&mut parsed.documents);
        resources.faulty.append(&mut parsed.faulty);
        resources.problems.append(&mut parsed.problems);
        resources.files.push(file.path);
    }
    resources.report_doubles();
    resources
}

/// Reads the text of a file; the end of its name says what it is written in.
pub fn parse(file: &str, text: &str, env: Lookup<'_>) -> Resources {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (roots, flaws) = match file.rsplit('.').next() {
        Some("toml") => {
            let (root, flaws) = toml_text::read(text);
            (root.into_iter().collect(), flaws)
        }
        _ => yaml::read(text),
    };
    let mut reader = Reader { file: file.into(), env, problems: Vec::new(), faulty: Vec::new() };
    reader.problems = flaws.into_iter().map(|flaw| reader.problem_of(flaw)).collect();
    if roots.is_empty() && reader.problems.is_empty() {
        reader.problems.push(Problem::new(file, "", "holds no resource").warning());
    }
    let documents: Vec<Document> = roots.into_iter().filter_map(|root| reader.document(root)).collect();
    let mut problems = reader.problems;
    problems.sort_by_key(|problem| problem.line);
    if problems.len() > FAULTS_SHOWN {
        let more = problems.len() - FAULTS_SHOWN;
        problems.truncate(FAULTS_SHOWN);
        problems.push(Problem::new(file, "", format!("and {more} more faults")));
    }
    Resources { documents, faulty: reader.faulty, problems, files: Vec::new() }
}

impl Resources {
    /// Names resources that are written twice, with both places.
    fn report_doubles(&mut self) {
        let mut seen: HashMap<(Kind, &str, String), &Origin> = HashMap::new();
        for document in &self.documents {
            let key = (document.kind, document.environment.as_str(), document.kind.compared(&document.name));
            if let Some(first) = seen.get(&key) {
                let message = format!("written twice: also {}", place(first));
                self.problems.push(document.origin.problem("", message).hint("keep one of them"));
            } else {
                seen.insert(key, &document.origin);
            }
        }
    }
}

/// Returns `at FILE:LINE`.
fn place(origin: &Origin) -> String {
    match origin.line {
        Some(line) => format!("at {}:{line}", origin.file),
        None => format!("in {}", origin.file),
    }
}

struct Reader<'a> {
    file: Arc<str>,
    env: Lookup<'a>,
    problems: Vec<Problem>,
    faulty: Vec<Document>,
}

impl Reader<'_> {
    fn problem_of(&self, flaw: Flaw) -> Problem {
        let problem = Problem::new(Arc::clone(&self.file), "", flaw.message).at(Some(flaw.line));
        problem.maybe_hint(flaw.hint)
    }

    /// Reads one document; `None` when it has a fault, which is reported.
    fn document(&mut self, root: Node) -> Option<Document> {
        let faults = self.problems.len();
        let mut origin = Origin::new(Arc::clone(&self.file), "");
        origin.line = Some(root.line);
        let Written::Members(mut members) = root.value else {
            let message = format!("expected a resource with kind, name and spec, found {}", root.type_name());
            self.problems.push(origin.problem("", message));
            return None;
        };
        for member in &mut members {
            note_lines(&member.name, member.line, &member.node, &mut origin);
            self.put_in(&member.name, &mut member.node, &mut origin);
        }
        let envelope: Envelope = self.envelope(&members, &mut origin);
        let kind = self.kind(&envelope, &origin);
        let spec = self.spec(members, &mut origin);
        let kind = kind?;
        let name = self.name(kind, &envelope, &spec, &origin);
        let environment = self.environment(kind, &envelope, name.as_deref(), &origin);
        self.finish(kind, environment, name?, &spec, &mut origin, faults)
    }

    fn finish(
        &mut self,
        kind: Kind,
        environment: String,
        name: String,
        spec: &[Member],
        origin: &mut Origin,
        faults: usize,
    ) -> Option<Document> {
        let mut origin = inside_of_spec(origin, &kind.path_of(&name));
        let typed = kind.read(spec, &name, &mut origin, &mut self.problems);
        let document = Document { kind, environment, name, spec: members_to_json(spec), typed, origin };
        if self.problems.len() > faults {
            self.faulty.push(document);
            return None;
        }
        Some(document)
    }

    /// Replaces `${NAME}` in every string of a value, and makes prices text, as they were written.
    fn put_in(&mut self, path: &str, node: &mut Node, origin: &mut Origin) {
        match &mut node.value {
            Written::Text(text) => match expand(text, self.env) {
                Ok(None) => {}
                Ok(Some(expanded)) => *text = expanded,
                Err(messages) => {
                    self.problems.extend(messages.into_iter().map(|message| origin.problem(path, message)));
                    origin.broken.insert(top(path).to_owned());
                }
            },
            Written::Decimal(text) if path.ends_with("_price") => node.value = Written::Text(std::mem::take(text)),
            Written::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.put_in(&format!("{path}[{index}]"), item, origin);
                }
            }
            Written::Members(members) => {
                for member in members {
                    self.put_in(&format!("{path}.{}", member.name), &mut member.node, origin);
                }
            }
            _ => {}
        }
    }

    fn envelope(&mut self, members: &[Member], origin: &mut Origin) -> Envelope {
        let own: Vec<Member> = members.iter().filter(|member| member.name != "spec").cloned().collect();
        let before = self.problems.len();
        let envelope = typed::read(&own, origin, &mut self.problems);
        for problem in self.problems.iter_mut().skip(before) {
            if problem.hint.is_none() && problem.message == "unknown setting" {
                problem.hint = Some("a resource has kind, environment, name and spec".to_owned());
            }
        }
        envelope
    }

    fn kind(&mut self, envelope: &Envelope, origin: &Origin) -> Option<Kind> {
        let problem = match &envelope.kind {
            Some(name) => match Kind::parse(name) {
                Some(kind) => return Some(kind),
                None => origin.problem("kind", "unknown kind").hint(Kind::hint(name)),
            },
            None => origin.problem("kind", "missing").hint(format!("one of {}", Kind::list())),
        };
        if !origin.is_broken("kind") {
            self.problems.push(problem);
        }
        None
    }

    fn spec(&mut self, members: Vec<Member>, origin: &mut Origin) -> Vec<Member> {
        let Some(spec) = members.into_iter().find(|member| member.name == "spec") else {
            self.problems.push(origin.problem("spec", "missing").hint("write spec: {} when there is nothing to say"));
            return Vec::new();
        };
        match spec.node.value {
            Written::Members(members) => members,
            Written::Null => Vec::new(),
            _ => {
                let message = format!("expected a mapping, found {}", spec.node.type_name());
                self.problems.push(origin.problem("spec", message));
                Vec::new()
            }
        }
    }

    fn name(&mut self, kind: Kind, envelope: &Envelope, spec: &[Member], origin: &Origin) -> Option<String> {
        if envelope.name.is_some() {
            return envelope.name.clone();
        }
        let own = kind.names_itself().and_then(|field| spec.iter().find(|member| member.name == field));
        if let Some(Member { node: Node { value: Written::Text(name), .. }, .. }) = own {
            return Some(name.clone());
        }
        if kind == Kind::Environment && envelope.environment.is_some() {
            return envelope.environment.clone();
        }
        if !origin.is_broken("name") {
            self.problems.push(origin.problem("name", "missing").hint(format!("the name of the {}", kind.name())));
        }
        None
    }

    fn environment(&mut self, kind: Kind, envelope: &Envelope, name: Option<&str>, origin: &Origin) -> String {
        if kind == Kind::Environment {
            let name = name.unwrap_or_default();
            if envelope.environment.as_deref().is_some_and(|environment| environment != name) {
                let problem = origin.problem("environment", "an environment belongs to no other one");
                self.problems.push(problem.hint("leave this out"));
            }
            return name.to_owned();
        }
        envelope.environment.clone().unwrap_or_else(|| ENVIRONMENT.to_owned())
    }
}

/// The members of a document beside its spec.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Envelope {
    kind: Option<String>,
    environment: Option<String>,
    name: Option<String>,
}

/// Notes the lines of a member and of everything in it.
fn note_lines(path: &str, line: usize, node: &Node, origin: &mut Origin) {
    origin.lines.insert(path.to_owned(), line);
    match &node.value {
        Written::List(items) => {
            for (index, item) in items.iter().enumerate() {
                note_lines(&format!("{path}[{index}]"), item.line, item, origin);
            }
        }
        Written::Members(members) => {
            for member in members {
                note_lines(&format!("{path}.{}", member.name), member.line, &member.node, origin);
            }
        }
        _ => {}
    }
}

/// Returns the first part of a path; within `spec` the first two.
fn top(path: &str) -> &str {
    let begin = if path.starts_with("spec.") { "spec.".len() } else { 0 };
    let rest = path.get(begin..).unwrap_or_default();
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    path.get(..begin + end).unwrap_or(path)
}

/// Returns the origin of what a document says about the resource itself.
fn inside_of_spec(origin: &Origin, path: &str) -> Origin {
    let inner = |name: &String| name.strip_prefix("spec.").map(str::to_owned);
    Origin {
        file: Arc::clone(&origin.file),
        path: path.to_owned(),
        line: origin.line,
        lines: origin.lines.iter().filter_map(|(name, line)| Some((inner(name)?, *line))).collect(),
        broken: origin.broken.iter().filter_map(inner).collect(),
        ..Origin::default()
    }
}

#[cfg(test)]
mod tests;
