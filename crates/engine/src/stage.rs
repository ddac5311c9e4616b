//! The rooms of the corridor, in the order in which a request walks through them.

pub mod authenticate;
pub mod cache;
pub mod decode;
pub mod dispatch;
pub mod gate;
pub mod guard;
pub mod plan;
pub mod reply;
pub mod reserve;
