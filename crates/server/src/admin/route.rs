//! What a route is: everything about it in one value, from which the router, the OpenAPI document and the matrix of
//! roles are made. A route that leaves something out does not compile.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Response};
use control::access::Permission;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::call::Call;
use super::principal::{Admit, Identity, Later, Operator, SignedIn};
use super::problem::{Code, Problem};
use super::throttle::RateClass;

/// The usual bound of a body: 1 MiB.
pub const BODY_LIMIT: usize = 1 << 20;

/// What a handler answers.
pub type Outcome = Result<Response<Body>, Problem>;

/// Makes a schema, with what it refers to.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One route.
#[derive(Clone)]
pub struct Route {
    /// Its method; `HEAD` comes with `GET`, `OPTIONS` with all.
    pub method: Method,
    /// Its path, parameters in braces.
    pub path: &'static str,
    /// Its name in the OpenAPI document, in camel case, unique.
    pub id: String,
    /// The group it is shown in.
    pub tag: &'static str,
    /// Who may call it.
    pub permission: Permission,
    /// The bucket that it draws from.
    pub rate: RateClass,
    /// What it does, in one sentence.
    pub summary: String,
    /// Its parameters. A path's parameters are all named here; a query with any other is refused.
    pub parameters: Vec<Parameter>,
    /// The body that it takes.
    pub takes: Takes,
    /// What it answers when it succeeds.
    pub gives: Gives,
    /// How it may fail, beyond what the frame itself refuses (400 for parameters, 401, 403, 408, 413, 415, 429, 500).
    pub errors: &'static [Code],
    /// What runs.
    pub handler: Handler,
}

/// The body that a route takes.
#[derive(Clone)]
pub enum Takes {
    /// None. One that comes is not read.
    Nothing,
    /// JSON.
    Json {
        /// The most that is read, in bytes.
        limit_bytes: usize,
        /// Whether it may be left away.
        optional: bool,
        /// Its schema.
        schema: SchemaOf,
        /// A body that is accepted as it is.
        example: fn() -> Value,
    },
}

/// What a route answers when it succeeds.
#[derive(Clone, Copy)]
pub struct Gives {
    /// The status.
    pub status: u16,
    /// What it means.
    pub meaning: &'static str,
    /// The body's media type and schema; `None` for no body.
    pub body: Option<(&'static str, SchemaOf)>,
    /// The headers that come with it, such as `ETag`.
    pub headers: &'static [&'static str],
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Whether it must be there.
    pub required: bool,
    /// What it is.
    pub description: &'static str,
    /// What it may be. It is checked before the handler runs.
    pub form: Form,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In a header. The frame does not check it.
    Header,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text of at most so many characters.
    Text {
        /// The most characters.
        most: usize,
    },
    /// A whole number.
    Whole {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
}

impl Parameter {
    /// Returns a parameter of the path.
    pub const fn path(name: &'static str, description: &'static str) -> Self {
        Self { name, place: Place::Path, required: true, description, form: Form::Text { most: 256 } }
    }

    /// Returns an optional parameter of the query.
    pub const fn query(name: &'static str, form: Form, description: &'static str) -> Self {
        Self { name, place: Place::Query, required: false, description, form }
    }

    /// Returns an optional header.
    pub const fn header(name: &'static str, description: &'static str) -> Self {
        Self { name, place: Place::Header, required: false, description, form: Form::Text { most: 1_024 } }
    }
}

impl Form {
    /// Returns what a value must be, when it is not.
    pub(super) fn complaint(self, value: &str) -> Option<String> {
        match self {
            Self::Text { most } => (value.chars().count() > most || value.contains('\0'))
                .then(|| format!("must be text of at most {most} characters")),
            Self::Whole { least, most } => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let good = digits && value.parse().is_ok_and(|number: u64| (least..=most).contains(&number));
                (!good).then(|| format!("must be a whole number from {least} to {most}"))
            }
            Self::OneOf(words) => (!words.contains(&value)).then(|| format!("must be one of {}", words.join(", "))),
            Self::Flag => (!matches!(value, "true" | "false")).then(|| "must be true or false".to_owned()),
        }
    }
}

/// What runs for a route, and for whom.
#[derive(Clone)]
pub enum Handler {
    /// For everybody; only where the permission is [`Permission::Open`].
    Open(Arc<dyn Fn(Call) -> Later<'static, Outcome> + Send + Sync>),
    /// For those whose role has the permission; `None` when the handler demands more of them.
    Closed(Arc<Closed>),
    /// The same, and in keyless mode for peers that need no key: they act as an operator.
    Keyless(Arc<Closed>),
}

/// A handler behind the door: it gets the identity, and serves it when it is of the type that it demands.
pub type Closed = dyn Fn(Call, Identity) -> Option<Later<'static, Outcome>> + Send + Sync;

/// Makes a handler for everybody.
pub fn open<R>(run: impl Fn(Call) -> R + Send + Sync + 'static) -> Handler
where
    R: Future<Output = Outcome> + Send + 'static,
{
    Handler::Open(Arc::new(move |call| Box::pin(run(call))))
}

/// Makes a handler for whoever has the route's permission.
pub fn signed_in<R>(run: impl Fn(Call, SignedIn) -> R + Send + Sync + 'static) -> Handler
where
    R: Future<Output = Outcome> + Send + 'static,
{
    closed(run)
}

/// Makes a handler for operators and owners, whatever the route's permission says.
pub fn operator<R>(run: impl Fn(Call, Operator) -> R + Send + Sync + 'static) -> Handler
where
    R: Future<Output = Outcome> + Send + 'static,
{
    closed(run)
}

/// Makes a handler for whom it says, and in keyless mode for peers that need no key.
pub(super) fn keyless<P: Admit, R>(run: impl Fn(Call, P) -> R + Send + Sync + 'static) -> Handler
where
    R: Future<Output = Outcome> + Send + 'static,
{
    Handler::Keyless(behind_the_door(run))
}

fn closed<P: Admit, R>(run: impl Fn(Call, P) -> R + Send + Sync + 'static) -> Handler
where
    R: Future<Output = Outcome> + Send + 'static,
{
    Handler::Closed(behind_the_door(run))
}

fn behind_the_door<P: Admit, R>(run: impl Fn(Call, P) -> R + Send + Sync + 'static) -> Arc<Closed>
where
    R: Future<Output = Outcome> + Send + 'static,
{
    Arc::new(move |call, identity| {
        let running = run(call, P::admit(identity)?);
        Some(Box::pin(running))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: Form, value: &str, good: bool) {
        assert_eq!(form.complaint(value).is_none(), good, "{form:?} {value:?}");
    }

    #[test]
    fn forms_are_kept() {
        let whole = Form::Whole { least: 1, most: 200 };
        for (value, good) in [("1", true), ("200", true), ("0", false), ("201", false), ("", false), ("x", false)] {
            check(whole, value, good);
        }
        for value in ["+1", "-1", " 1", "1.0", "1e2", "0x1", "99999999999999999999"] {
            check(whole, value, false);
        }
        check(Form::Text { most: 3 }, "éèê", true);
        check(Form::Text { most: 3 }, "abcd", false);
        check(Form::Text { most: 3 }, "a\0", false);
        check(Form::OneOf(&["a", "b"]), "b", true);
        check(Form::OneOf(&["a", "b"]), "c", false);
        check(Form::Flag, "true", true);
        check(Form::Flag, "1", false);
    }
}
