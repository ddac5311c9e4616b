//! Events of this gateway: where they come from, who is told, and what the admin side can do about deliveries.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use control::plane::Plane;
use control::plane::webhooks::AddressCheck;
use engine::gateway::Gateway;
use net::connector::Connector;
use net::url_guard;
use policy::notify::{REQUEST_COMPLETED, REQUEST_FAILED};
use policy::spec::smtp::Smtp;
use settle::drain::Announcing;
use settle::events::counts::Counts;
use settle::events::mail::{MailError, Mailer};
use settle::events::post::Poster;
use settle::events::pump::{self, Pump};
use settle::events::{Audience, Audiences};

mod accounts;
mod audit;
mod expiry;
pub(crate) mod limits;
mod months;
mod providers;
mod requests;

/// What the admin side needs of events, and what the background threads share.
pub struct Desk {
    /// How webhooks are reached.
    pub poster: Arc<Poster>,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// How far requests were announced.
    pub seen: Arc<AtomicU64>,
    /// How email is sent, where it is configured, once the pump is made.
    pub mailer: OnceLock<Arc<Mailer>>,
}

/// How events leave the gateway.
pub struct Ways {
    /// How webhooks are reached.
    pub connector: Arc<dyn Connector>,
    /// Whether they may have private addresses.
    pub private: bool,
    /// Names the product and its version.
    pub user_agent: Box<str>,
}

impl Desk {
    /// Makes everything ready that does not need the control plane.
    pub fn new(gateway: &Gateway, ways: Ways) -> Self {
        let Ways { connector, private, user_agent } = ways;
        let poster = Poster { connector, private, user_agent, clock: gateway.clock.clone() };
        Self { poster: Arc::new(poster), counts: Arc::default(), seen: Arc::default(), mailer: OnceLock::new() }
    }

    /// Returns the pump that tells everybody.
    ///
    /// # Errors
    /// When email is configured and cannot be sent at all.
    pub fn pump(
        &self,
        gateway: &Arc<Gateway>,
        plane: &Arc<Plane>,
        data_dir: PathBuf,
        smtp: Option<&Smtp>,
    ) -> Result<Pump, MailError> {
        let mailer = smtp.map(Mailer::new).transpose()?.map(Arc::new);
        if let Some(mailer) = &mailer {
            // Whoever makes a second pump has made the same mailer.
            let _ = self.mailer.set(Arc::clone(mailer));
        }
        let asking = Arc::clone(gateway);
        Ok(Pump::new(pump::Parts {
            audiences: Box::new(move || audiences(&asking)),
            sources: vec![
                Box::new(audit::Audit::new(Arc::clone(plane))),
                Box::new(requests::Requests::new(data_dir.clone(), Arc::clone(&self.seen))),
                Box::new(accounts::Accounts::new(Arc::clone(gateway))),
                Box::new(limits::Limits::new(Arc::clone(gateway))),
                Box::new(months::Months::new(Arc::clone(gateway), data_dir.clone())),
                Box::new(providers::Providers::new(Arc::clone(gateway))),
                Box::new(expiry::Expiry::new(Arc::clone(gateway))),
            ],
            data_dir,
            poster: Arc::clone(&self.poster),
            mailer,
            counts: Arc::clone(&self.counts),
            clock: gateway.clock.clone(),
        }))
    }
}

/// Returns who wants to be told what, by environment.
pub fn audiences(gateway: &Gateway) -> Audiences {
    let state = gateway.state();
    let of = |snapshot: &policy::snapshot::Snapshot| Audience {
        webhooks: snapshot.webhooks.clone(),
        alerts: snapshot.alerts.clone(),
    };
    state
        .environments
        .iter()
        .map(|(name, configuration)| (Arc::clone(name), of(&configuration.snapshot)))
        .filter(|(_, audience)| !audience.is_empty())
        .collect()
}

/// Returns what tells the drainer whose requests are announced.
pub fn announcing(gateway: &Arc<Gateway>) -> Announcing {
    let gateway = Arc::clone(gateway);
    Box::new(move || {
        let wants = |audience: &Audience| audience.wants(REQUEST_COMPLETED) || audience.wants(REQUEST_FAILED);
        if gateway.state().environments.is_empty() {
            return None;
        }
        let all = audiences(&gateway);
        let environments =
            all.iter().filter(|(_, audience)| wants(audience)).map(|(name, _)| name.as_ref().to_owned()).collect();
        Some(environments)
    })
}

/// Returns what says whether events may be sent to an address. What a name resolves to is asked at every delivery.
pub fn address_check(private: bool) -> Box<AddressCheck> {
    Box::new(move |url| match url_guard::check(url, private) {
        Ok(_) => Ok(()),
        Err(url_guard::Refused::Private) => {
            Err("the address is not a public one, and webhooks_private does not allow others".to_owned())
        }
        Err(refused) => Err(refused.to_string()),
    })
}
