//! Which expressions are let in.

use cel::common::ast::{ComprehensionExpr, Expr, LiteralValue};
use cel::parser::Expression;
use ir::chat::needs::FEATURES;
use regex::{Regex, RegexBuilder};

use super::value::MAX_ENTRIES;
use super::{Fault, Looks, MAX_COST, MAX_NODES};
use crate::problem::did_you_mean;

/// What conditions may speak of.
pub(crate) const VARIABLES: [&str; 14] = [
    "model",
    "provider",
    "surface",
    "stream",
    "input_tokens",
    "max_tokens",
    "features",
    "headers",
    "metadata",
    "user",
    "key",
    "team",
    "labels",
    "time",
];

/// The members of `time`.
pub(crate) const TIMES: [&str; 6] = ["year", "month", "day", "hour", "minute", "weekday"];

/// Functions, beside the operators. What they cost grows with a text of the request at most.
const FUNCTIONS: [&str; 8] = ["size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string"];

/// Operators: their names in the syntax tree.
const TRUTHS: [&str; 11] =
    ["_&&_", "_||_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "@not_strictly_false"];
const OTHERS: [&str; 8] = ["_+_", "_-_", "_*_", "_/_", "_%_", "-_", "_?_:_", "_[_]"];

/// What it costs to look at a text.
const LOOK: usize = 10;

/// The memory that a compiled pattern may have, in bytes.
const PATTERN_BYTES: usize = 1 << 18;

/// What was found on the way.
#[derive(Default)]
pub(super) struct Found {
    /// What the condition looks at.
    pub(super) looks: Looks,
    /// The patterns of `matches`.
    pub(super) patterns: Vec<(String, Regex)>,
}

/// Checks an expression.
pub(super) fn check(text: &str, expression: &Expression) -> Result<Found, Fault> {
    let mut walk = Walk { text, nodes: 0, cost: 0, times: 1, bound: Vec::new(), found: Found::default() };
    walk.visit(expression)?;
    if !may_be_truth(&expression.expr) {
        let hint = "compare it with something, such as `model == \"gpt-4o\"`";
        return Err(walk.fault(None, "it is neither true nor false", Some(hint.to_owned())));
    }
    Ok(walk.found)
}

/// Whether an expression may yield true or false, as far as its outermost part says.
fn may_be_truth(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::Ident(name) => name == "stream",
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => false,
        Expr::Call(call) => match call.func_name.as_str() {
            "size" | "int" | "double" | "string" | "_+_" | "_-_" | "_*_" | "_/_" | "_%_" | "-_" => false,
            "_?_:_" => call.args.iter().skip(1).all(|branch| may_be_truth(&branch.expr)),
            _ => true,
        },
        _ => true,
    }
}

/// Whether an expression is known to be a number.
fn is_number(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(literal) => {
            matches!(literal, LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_))
        }
        // What a macro counts in has a name that nobody can write.
        Expr::Ident(name) => matches!(name.as_str(), "input_tokens" | "max_tokens") || name.starts_with('@'),
        Expr::Select(select) => matches!(&select.operand.expr, Expr::Ident(name) if name == "time"),
        Expr::Call(call) => match call.func_name.as_str() {
            "size" | "int" | "double" | "_-_" | "_*_" | "_/_" | "_%_" | "-_" | "_+_" => true,
            "_?_:_" => call.args.iter().skip(1).all(|branch| is_number(&branch.expr)),
            _ => false,
        },
        _ => false,
    }
}

struct Walk<'a> {
    text: &'a str,
    nodes: usize,
    /// What it costs so far.
    cost: usize,
    /// How often the part at hand is worked out at most.
    times: usize,
    /// The variables of the macro that is being walked through.
    bound: Vec<String>,
    found: Found,
}

impl Walk<'_> {
    fn fault(&self, word: Option<&str>, message: impl Into<String>, hint: Option<String>) -> Fault {
        Fault { at: word.and_then(|word| place(self.text, word)), message: message.into(), hint }
    }

    fn visit(&mut self, expression: &Expression) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let hint = "make several rules of it".to_owned();
            return Err(self.fault(None, format!("too large: at most {MAX_NODES} operators and values"), Some(hint)));
        }
        self.charge(1)?;
        match &expression.expr {
            Expr::Literal(LiteralValue::Bytes(_)) => Err(self.fault(Some("b"), "bytes are not supported", None)),
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.visit(element)),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Map(_) => Err(self.fault(Some("{"), "maps cannot be written here", None)),
            Expr::Struct(_) => Err(self.fault(Some("{"), "messages cannot be written here", None)),
            Expr::Unspecified => Err(self.fault(None, "not an expression in CEL", None)),
        }
    }

    fn charge(&mut self, cost: usize) -> Result<(), Fault> {
        self.cost += cost * self.times;
        if self.cost <= MAX_COST {
            return Ok(());
        }
        let hint = "look at fewer things in its macros, or make several rules of it".to_owned();
        Err(self.fault(None, "too costly", Some(hint)))
    }

    fn variable(&mut self, name: &str) -> Result<(), Fault> {
        let looks = &mut self.found.looks;
        looks.any = true;
        match name {
            _ if self.bound.iter().any(|bound| bound == name) => {}
            "headers" => looks.headers = true,
            "metadata" => looks.metadata = true,
            "user" => looks.user = true,
            "features" => looks.features = true,
            _ if VARIABLES.contains(&name) => {}
            _ => {
                let known = || format!("there are {}", VARIABLES.join(", "));
                let hint = did_you_mean(name, VARIABLES).unwrap_or_else(known);
                return Err(self.fault(Some(name), format!("unknown variable `{name}`"), Some(hint)));
            }
        }
        Ok(())
    }

    fn select(&mut self, select: &cel::common::ast::SelectExpr) -> Result<(), Fault> {
        self.visit(&select.operand)?;
        let field = select.field.as_str();
        match &select.operand.expr {
            Expr::Ident(name) if name == "time" && !TIMES.contains(&field) => {
                let hint = did_you_mean(field, TIMES).unwrap_or_else(|| format!("there are {}", TIMES.join(", ")));
                Err(self.fault(Some(field), format!("`time` has no `{field}`"), Some(hint)))
            }
            Expr::Ident(name) if name == "headers" && field.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                let hint = format!("write headers.{}", field.to_ascii_lowercase());
                Err(self.fault(Some(field), "names of headers are in lower case", Some(hint)))
            }
            Expr::Ident(name) if ["headers", "metadata", "labels", "time"].contains(&name.as_str()) => Ok(()),
            Expr::Ident(name) if !self.bound.contains(name) => {
                Err(self.fault(Some(field), format!("`{name}` has no members"), None))
            }
            _ => Ok(()),
        }
    }

    fn call(&mut self, call: &cel::common::ast::CallExpr) -> Result<(), Fault> {
        let name = call.func_name.as_str();
        let operator = TRUTHS.contains(&name) || OTHERS.contains(&name);
        if !operator && !FUNCTIONS.contains(&name) {
            let hint = match name {
                "map" | "filter" => "exists, exists_one and all are supported".to_owned(),
                _ => did_you_mean(name, FUNCTIONS).unwrap_or_else(|| format!("there are {}", FUNCTIONS.join(", "))),
            };
            return Err(self.fault(Some(name), format!("unknown function `{name}`"), Some(hint)));
        }
        if FUNCTIONS.contains(&name) {
            self.charge(LOOK)?;
        }
        if name == "matches" {
            self.pattern(call)?;
        }
        // Texts that are put together grow with every part, and a request says how long they are.
        if name == "_+_" && !call.args.iter().all(|argument| is_number(&argument.expr)) {
            let hint = "write int(…) or double(…) around what is not known to be a number".to_owned();
            return Err(self.fault(Some("+"), "only numbers are added", Some(hint)));
        }
        call.target.iter().try_for_each(|target| self.visit(target))?;
        call.args.iter().try_for_each(|argument| self.visit(argument))
    }

    /// Compiles the pattern of `matches`: a request cannot choose it.
    fn pattern(&mut self, call: &cel::common::ast::CallExpr) -> Result<(), Fault> {
        let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|argument| &argument.expr) else {
            let hint = "such as model.matches(\"^gpt-\")".to_owned();
            return Err(self.fault(Some("matches"), "the pattern of `matches` must be written out", Some(hint)));
        };
        let pattern = pattern.inner().to_owned();
        let compiled = RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES).nest_limit(32).build();
        match compiled {
            Ok(compiled) => self.found.patterns.push((pattern, compiled)),
            Err(regex::Error::CompiledTooBig(_)) => {
                return Err(self.fault(Some("matches"), "the pattern of `matches` is too costly", None));
            }
            Err(_) => {
                let hint = "see https://docs.rs/regex/#syntax".to_owned();
                return Err(self.fault(
                    Some("matches"),
                    "the pattern of `matches` is no regular expression",
                    Some(hint),
                ));
            }
        }
        Ok(())
    }

    /// A macro: `exists`, `exists_one` or `all`, over a collection of the request, and none within another.
    fn comprehension(&mut self, whole: &ComprehensionExpr) -> Result<(), Fault> {
        if !self.bound.is_empty() {
            let hint = "make several rules of it".to_owned();
            return Err(self.fault(None, "a macro within a macro is too costly", Some(hint)));
        }
        if matches!(whole.accu_init.expr, Expr::List(_) | Expr::Map(_)) {
            let hint = "exists, exists_one and all are supported".to_owned();
            return Err(self.fault(None, "macros that build lists are not supported", Some(hint)));
        }
        let most = match &whole.iter_range.expr {
            Expr::Ident(name) if name == "features" => Some(FEATURES.len()),
            Expr::Ident(name) if ["headers", "metadata", "labels"].contains(&name.as_str()) => Some(MAX_ENTRIES),
            Expr::List(list) => Some(list.elements.len()),
            _ => None,
        };
        let Some(most) = most else {
            let hint = "over headers, metadata, labels, features, or a list that is written out".to_owned();
            return Err(self.fault(None, "a macro walks through a collection of the request", Some(hint)));
        };
        self.visit(&whole.iter_range)?;
        for name in [Some(&whole.iter_var), whole.iter_var2.as_ref(), Some(&whole.accu_var)].into_iter().flatten() {
            if VARIABLES.contains(&name.as_str()) {
                return Err(self.fault(Some(name), format!("`{name}` has another meaning"), None));
            }
            self.bound.push(name.clone());
        }
        self.times = most.max(1);
        for part in [&whole.accu_init, &whole.loop_cond, &whole.loop_step, &whole.result] {
            self.visit(part)?;
        }
        self.times = 1;
        self.bound.clear();
        Ok(())
    }
}

/// Returns line and column of a word that stands alone, from 1.
fn place(text: &str, word: &str) -> Option<(usize, usize)> {
    let letter = |found: Option<char>| found.is_some_and(|found| found.is_alphanumeric() || found == '_');
    let alone = |at: &usize| {
        let (before, after) = (text.get(..*at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
        !letter(word.chars().next()) || !letter(before.chars().next_back()) && !letter(after.chars().next())
    };
    let at = text.match_indices(word).map(|(at, _)| at).find(alone)?;
    let before = text.get(..at)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some((line, column))
}
