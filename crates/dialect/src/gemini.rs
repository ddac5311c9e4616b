//! Gemini generateContent: <https://ai.google.dev/api/generate-content>, the same on Vertex AI:
//! <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>.
//!
//! The model and whether the answer is streamed stand in the path of a request, not in its body.

pub mod error;
pub mod request;
pub mod response;
pub mod stream;

mod generation;
mod media;
mod part;
mod schema;
mod wire;
