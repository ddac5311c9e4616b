//! The first person, and those who were invited: whoever holds a code sets a password with it and is signed in.

use axum::http::StatusCode;
use control::people::FirstPerson;
use policy::secret::Secret;
use serde_json::json;

use super::call::{Call, json as answer};
use super::people::visitor;
use super::problem::Problem;
use super::route::Outcome;

/// Whether anybody is there, and how one can sign in: what a page asks before it knows anybody.
pub(super) async fn get(call: Call) -> Outcome {
    let front = &call.admin.people;
    let needed = front.run(|people| people.needs_set_up()).await?;
    answer(StatusCode::OK, &json!({ "needed": needed, "password": true, "oidc": front.oidc.is_some() }))
}

/// Creates the owner.
pub(super) async fn create(mut call: Call) -> Outcome {
    let front = &call.admin.clone().people;
    front.same_origin(&call.headers, false)?;
    let mut members = call.object()?;
    let code = Secret::new(members.required_text("code")?);
    let first = FirstPerson {
        email: members.required_text("email")?,
        password: Secret::new(members.required_text("password")?),
        name: members.text("name")?.unwrap_or_default(),
    };
    members.finish("the body has `code`, `email`, `password` and `name`")?;
    if !front.run(|people| people.needs_set_up()).await? {
        return Err(Problem::not_found("the set-up has been done: sign in"));
    }
    let visitor = visitor(&call);
    let begun = front.run_dear(move |people| people.set_up(&code, &first, &visitor)).await?;
    front.signed_in(StatusCode::CREATED, &call.headers, &begun)
}

/// Sets the password of whoever holds a code.
pub(super) async fn redeem(mut call: Call) -> Outcome {
    let front = &call.admin.clone().people;
    front.same_origin(&call.headers, false)?;
    let mut members = call.object()?;
    let (code, password) = (members.required_text("code")?, members.required_text("password")?);
    members.finish("the body has `code` and `password`")?;
    let (code, password, visitor) = (Secret::new(code), Secret::new(password), visitor(&call));
    let begun = front.run_dear(move |people| people.redeem(&code, &password, &visitor)).await?;
    front.signed_in(StatusCode::OK, &call.headers, &begun)
}
