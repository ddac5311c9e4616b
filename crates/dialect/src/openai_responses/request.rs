//! A request: `POST /v1/responses`.

pub mod decode;
pub mod encode;

#[cfg(test)]
mod tests;
