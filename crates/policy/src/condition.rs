//! Conditions of rules: expressions in CEL (<https://cel.dev>) about a request, compiled once and held to a cost.
//!
//! Only a part of the language is let in: what a condition may cost is then bounded by its text, whatever a request says.
//! Nothing is built but truth values, numbers and texts; a macro walks through one collection, and its body through none.

mod allowed;
pub mod facts;
mod value;

use std::fmt;
use std::sync::Arc;

use cel::common::types::{CelBool, CelString};
use cel::extractors::This;
use cel::parser::{Expression, PrattParser};
use cel::{Context, ExecutionError, Value};
use regex::Regex;

use self::allowed::{Found, check};
pub use self::facts::Facts;

/// The most bytes of a condition.
pub const MAX_BYTES: usize = 2_000;

/// The most operators, names and values of a condition.
pub const MAX_NODES: usize = 300;

/// The most that a condition may cost: a part is 1, a look at a text 10, and what a macro does counts for each entry of what
/// it walks through.
pub const MAX_COST: usize = 10_000;

/// The deepest nesting.
const MAX_DEPTH: u16 = 24;

/// What a condition has to know of a request beside its model, size and key, so that nobody finds out for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is something that costs")]
pub struct Looks {
    /// Its headers.
    pub headers: bool,
    /// The user it is made for.
    pub user: bool,
    /// The session it belongs to.
    pub session: bool,
    /// What the caller says of it.
    pub metadata: bool,
    /// The features that it uses.
    pub features: bool,
    /// Anything at all.
    pub any: bool,
}

impl Looks {
    /// Returns what either wants.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            headers: self.headers || other.headers,
            user: self.user || other.user,
            session: self.session || other.session,
            metadata: self.metadata || other.metadata,
            features: self.features || other.features,
            any: self.any || other.any,
        }
    }

    /// Whether headers are read.
    pub fn wants_headers(self) -> bool {
        self.headers || self.metadata || self.session
    }
}

/// A compiled condition.
pub struct Condition {
    text: Box<str>,
    expression: Expression,
    /// The functions.
    root: Context<'static, 'static>,
    /// What it looks at.
    pub looks: Looks,
}

/// What is wrong with the text of a condition. Its `Display` says where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line and column, from 1, where it is known.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((1, column)) => write!(f, "column {column}: {}", self.message),
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// What is wrong with it first: its form, what it names, what it may not do, or that it costs too much.
    pub fn compile(text: &str) -> Result<Self, Fault> {
        let refused = |message: String, hint: Option<&str>| Fault { at: None, message, hint: hint.map(str::to_owned) };
        if text.trim().is_empty() {
            return Err(refused("empty".to_owned(), Some("write a condition such as `stream && input_tokens > 4000`")));
        }
        if text.len() > MAX_BYTES {
            return Err(refused(format!("too long: at most {MAX_BYTES} bytes"), Some("make several rules of it")));
        }
        let parser = PrattParser::new().max_recursion_depth(MAX_DEPTH).error_recovery_limit(1);
        let expression = parser.error_reporting_limit(1).parse(text).map_err(|errors| form(text, &errors))?;
        let Found { looks, patterns } = check(text, &expression)?;
        let root = functions(patterns)
            .map_err(|error| refused(format!("its functions cannot be made ready: {error}"), None))?;
        let condition = Self { text: text.into(), expression, root, looks };
        match condition.value(&Facts::default()) {
            // Facts have the same types whatever the request is: what cannot be applied to them never can.
            Err(error @ ExecutionError::NoSuchOverload(_)) => {
                let message = format!("it would fail for every request: {}", condition.explain(&error));
                Err(refused(
                    message,
                    Some("compare numbers with numbers and text with text, such as `input_tokens > 4000`"),
                ))
            }
            _ => Ok(condition),
        }
    }

    /// Returns its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether it holds for a request.
    ///
    /// # Errors
    /// Why that cannot be said, without any word of the request: something is not there, or is of another type.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let truth = self.value(facts).map_err(|error| self.explain(&error))?;
        truth.ok_or_else(|| "it is neither true nor false".to_owned())
    }

    /// Returns what it comes to for a request; `None` for what is neither true nor false.
    fn value(&self, facts: &Facts<'_>) -> Result<Option<bool>, ExecutionError> {
        let mut context = self.root.new_inner_scope();
        context.set_variable_resolver(facts);
        let value = Value::resolve_val(&self.expression, &context)?;
        Ok(value.downcast_ref::<CelBool>().map(|value| *value.inner()))
    }

    /// Says what went wrong without repeating what a request holds.
    fn explain(&self, error: &ExecutionError) -> String {
        match error {
            // A key may come from the request: only one that the condition itself names is repeated.
            ExecutionError::NoSuchKey(key) if !key.is_empty() && self.text.contains(key.as_str()) => {
                format!("there is no `{key}`")
            }
            ExecutionError::NoSuchKey(_) => "there is no such key".to_owned(),
            ExecutionError::NoSuchOverload(error) => {
                let types = error.argument_types().join(", ");
                format!("`{}` cannot be applied to {types}", error.function().trim_matches('_'))
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
            ExecutionError::Overflow(..) => "a number is too large".to_owned(),
            ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
            _ => "it cannot be worked out: a value is missing or of another type".to_owned(),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

/// Returns a context with the functions of a condition. Its patterns are compiled here, once.
fn functions(patterns: Vec<(String, Regex)>) -> Result<Context<'static, 'static>, cel::DeclarationError> {
    let mut root = Context::default();
    if !patterns.is_empty() {
        root.add_function("matches", move |This(text): This<Arc<String>>, pattern: Arc<String>| -> bool {
            patterns.iter().any(|(written, compiled)| *written == *pattern && compiled.is_match(&text))
        })?;
    }
    Ok(root)
}

/// Says where the form of a condition ends to be one.
fn form(text: &str, errors: &cel::ParseErrors) -> Fault {
    let Some(first) = errors.errors.first() else {
        return Fault { at: None, message: "not an expression in CEL".to_owned(), hint: None };
    };
    let (line, column) = first.pos;
    let at = (usize::try_from(line).unwrap_or(1).max(1), usize::try_from(column).unwrap_or(1).max(1));
    // What begins with `Syntax error:` says so twice.
    let message = first.msg.trim_start_matches("Syntax error: ").chars().take(200).collect::<String>();
    let single = text.contains(" = ") || text.contains(" and ") || text.contains(" or ");
    let hint = single.then(|| "CEL writes ==, && and ||".to_owned());
    Fault { at: Some(at), message: format!("not an expression in CEL: {message}"), hint }
}

/// Borrowed text as a value.
pub(crate) fn text_value(text: &str) -> CelString<'_> {
    CelString::from(text)
}

#[cfg(test)]
mod tests;
