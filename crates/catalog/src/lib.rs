//! What is known about vendors and models before anybody configures anything. All of it is data.

pub mod load;
pub mod model;
pub mod sources;
pub mod vendor;
