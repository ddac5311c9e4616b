//! The effective settings of the process, and where each comes from. They are changed in the file or the environment.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::principal::Operator;
use super::route::Outcome;

/// Every setting; of secrets only whether they are set.
pub(super) async fn get(call: Call, _: Operator) -> Outcome {
    let shown: Vec<Value> = call
        .admin
        .settings
        .iter()
        .map(|setting| {
            json!({
                "name": setting.name,
                "variable": setting.variable,
                "value": setting.value,
                "set": setting.set,
                "secret": setting.secret,
                "source": setting.source,
            })
        })
        .collect();
    answer(StatusCode::OK, &json!({ "data": shown, "next_cursor": null }))
}
