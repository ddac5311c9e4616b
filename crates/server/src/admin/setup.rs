//! The first person, and those who were invited: whoever holds a code sets a password with it and is signed in.
//!
//! The link that a start prints leads to a page of this file. It loads nothing from elsewhere and has no script or style
//! in itself, so that the strictest policy for content holds.

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use control::people::FirstPerson;
use policy::secret::Secret;
use serde_json::json;

use super::call::{Call, json as answer};
use super::people::visitor;
use super::problem::Problem;
use super::route::Outcome;

/// What the page may load and do: what is its own.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'",
);

/// Shows the page on which the first person makes themselves the owner, or says that somebody has.
pub(super) async fn page(call: Call) -> Outcome {
    let needed = call.admin.people.run(|people| people.needs_set_up()).await?;
    let page = if needed { include_str!("setup/page.html") } else { include_str!("setup/over.html") };
    Ok(asset("text/html; charset=utf-8", page))
}

/// Shows the page on which whoever holds a one-time code sets their password.
pub(super) async fn invitation(_: Call) -> Outcome {
    Ok(asset("text/html; charset=utf-8", include_str!("setup/invitation.html")))
}

/// Shows the ways into the API: people come here when they have signed in elsewhere.
pub(super) async fn home(_: Call) -> Outcome {
    Ok(asset("text/html; charset=utf-8", include_str!("setup/home.html")))
}

/// Returns the script of the page.
pub(super) async fn script(_: Call) -> Outcome {
    Ok(asset("text/javascript; charset=utf-8", include_str!("setup/setup.js")))
}

/// Returns the style of the page.
pub(super) async fn style(_: Call) -> Outcome {
    Ok(asset("text/css; charset=utf-8", include_str!("setup/setup.css")))
}

fn asset(kind: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

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
