//! A conversation with a model in the one vocabulary that all dialects meet in.
//!
//! Every dialect decodes into these types and encodes from them, so that a new one is one folder and not one for every
//! other. They hold what at least two dialects can say; what only one can say travels in [`extras`], under that
//! dialect's name.

pub mod event;
pub mod extras;
pub mod fold;
pub mod message;
pub mod needs;
pub mod request;
pub mod response;
pub mod unfold;
