//! The admin listener: health, metrics, and the admin API.
//!
//! Every route is a row of [`table`]; the router, the OpenAPI document and the matrix of roles are made from it, and
//! `frame` stands around each: nothing is reached that a row does not declare.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use control::plane::Plane;
use engine::gateway::Gateway;
use net::connector::Connector;
use policy::compile::effective::Effective;
use policy::secret::Secret;

use crate::credits::Credits;

mod audit;
mod billing;
pub mod blocking;
mod body;
pub mod call;
mod catalogue;
mod connection;
mod deliveries;
mod denied;
mod documents;
pub mod explain;
pub(crate) mod frame;
mod health;
pub mod json;
mod kinds;
mod legacy;
pub(crate) mod limits;
mod me;
pub mod oidc;
pub mod openapi;
pub mod people;
pub mod principal;
mod probe;
pub mod problem;
mod replay;
mod requests;
mod resources;
pub mod route;
pub mod schemas;
pub mod serve;
mod session;
mod settings;
mod setup;
mod status;
pub mod table;
pub mod throttle;
mod unread;
mod usage;
mod users;

/// What the admin side works with.
pub struct Admin {
    /// The data plane, for health and metrics.
    pub gateway: Arc<Gateway>,
    /// The control plane.
    pub plane: Arc<Plane>,
    /// How providers are reached, for tests of a connection.
    pub connector: Arc<dyn Connector>,
    /// Names the product and its version to providers.
    pub user_agent: Box<str>,
    /// The settings of the process, for people.
    pub settings: Vec<Effective>,
    /// Where the databases are.
    pub data_dir: PathBuf,
    /// The token with an owner's rights; without one there is no token access.
    pub token: Option<Secret>,
    /// Who else is recognised, and how; asked in this order when it was not the token.
    pub authenticators: Vec<Box<dyn principal::Authenticator>>,
    /// The people who may sign in.
    pub people: Arc<people::Front>,
    /// What environments may still spend.
    pub credits: Arc<Credits>,
    /// New records, for those who watch.
    pub tail: settle::tail::Tail,
    /// How events are told.
    pub events: Arc<crate::events::Desk>,
    /// Whether the journal can be written.
    pub journal_healthy: Box<dyn Fn() -> bool + Send + Sync>,
    /// The address it listens on.
    pub address: SocketAddr,
    /// How often somebody may ask.
    pub buckets: throttle::Buckets,
    /// Where work that blocks runs.
    pub blocking: blocking::Blocking,
}

/// Returns the router of every route.
pub fn router(admin: impl Into<Arc<Admin>>) -> Router {
    frame::router(admin.into(), table::routes())
}
