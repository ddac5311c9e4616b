//! Configuration as documents: applied all at once or not at all, and exported in the same form.

use axum::http::StatusCode;
use control::plane::apply::{Applied, Document};
use serde_json::{Value, json as value};

use super::call::{Call, Members, json};
use super::principal::{Operator, Principal, SignedIn};
use super::problem::{Code, Problem, of_documents};
use super::route::Outcome;

/// The most documents in one call.
const MAX_DOCUMENTS: usize = 10_000;

/// Makes resources say what documents say. `dry_run` only says what would be done.
pub(super) async fn apply(mut call: Call, who: Operator) -> Outcome {
    let mut members = call.object()?;
    let documents = documents(&mut members)?;
    members.finish("the body has `documents`")?;
    let dry_run = call.query("dry_run") == Some("true");
    let actor = who.actor().clone();
    let applied = call.blocking(move |admin| admin.plane.apply(&actor, documents, dry_run)).await?;
    let applied = applied.map_err(of_documents)?;
    let shown: Vec<Value> = applied.iter().map(|applied| shown(applied, dry_run)).collect::<Result<_, _>>()?;
    json(StatusCode::OK, &value!({ "dry_run": dry_run, "data": shown }))
}

/// Takes the documents out of a body.
pub(super) fn documents(members: &mut Members) -> Result<Vec<Document>, Problem> {
    let documents = match members.take("documents") {
        Some(Value::Array(documents)) if documents.len() <= MAX_DOCUMENTS => documents,
        Some(Value::Array(_)) => {
            return Err(Problem::invalid("documents", format!("there are more than {MAX_DOCUMENTS} documents")));
        }
        Some(_) => return Err(Problem::invalid("documents", "documents must be a list")),
        None => return Err(Problem::invalid("documents", "documents is missing")),
    };
    documents.into_iter().enumerate().map(|(index, one)| document(index, one)).collect()
}

fn document(index: usize, document: Value) -> Result<Document, Problem> {
    let place = format!("documents[{index}]");
    let Value::Object(members) = document else {
        return Err(Problem::invalid(&place, "a document must be an object"));
    };
    let mut members = Members::of(members);
    let read = (|| {
        let document = Document {
            kind: members.required_text("kind")?,
            environment: members.text("environment")?.unwrap_or_default(),
            name: members.text("name")?,
            spec: members.object("spec")?.unwrap_or_default(),
        };
        members.finish("a document has `kind`, `environment`, `name` and `spec`").map(|()| document)
    })();
    read.map_err(|problem: Problem| problem.below(&place))
}

/// The secret of a key that was made is in this answer and in no other.
fn shown(applied: &Applied, dry_run: bool) -> Result<Value, Problem> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(applied) else {
        return Err(Problem::internal("the answer could not be written"));
    };
    if let Some(secret) = applied.secret.as_ref().filter(|_| !dry_run) {
        members.insert("secret".to_owned(), Value::from(secret.expose()));
    }
    Ok(Value::Object(members))
}

/// Returns the stored resources of an environment, or of all, as documents without secrets.
pub(super) async fn export(call: Call, who: SignedIn) -> Outcome {
    let actor = who.actor().clone();
    let wanted = call.query("environment").map(str::to_owned);
    let documents = call
        .blocking(move |admin| {
            let environments = wanted.map_or_else(|| admin.plane.environments(), |one| vec![one]);
            let each = environments.iter().map(|environment| admin.plane.export(&actor, environment));
            each.collect::<Result<Vec<_>, _>>()
        })
        .await?
        .map_err(Problem::from)?;
    let documents: Vec<Document> = documents.into_iter().flatten().collect();
    if documents.len() > MAX_DOCUMENTS {
        let message = format!("there are more than {MAX_DOCUMENTS} resources");
        return Err(Problem::new(Code::InvalidRequest, message).hint("export one environment at a time"));
    }
    json(StatusCode::OK, &value!({ "documents": documents }))
}
