//! Puts the parts together: data directory, databases, journal, keys, configuration.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use catalog::load::Vendors;
use catalog::model::Catalogue;
use control::actor::Actor;
use control::kind::KEYS;
use control::plane::{Plane, open};
use control::publish::Publish;
use control::resource::{Draft, ListQuery};
use engine::gateway::{Anonymous, Gateway, Options};
use engine::state::State;
use net::connector::{Authorities, TcpConnector};
use policy::clock::Clock;
use policy::load::Written;
use policy::problem::Problem;
use policy::secret::Secret;
use policy::snapshot::Retention;
use policy::spec::settings;
use policy::spec::timestamp::Timestamp;
use serde_json::{Value, json};
use server::credits::Credits;
use server::events::{Desk, Ways, address_check, announcing};
use server::idempotency::Keeper;
use server::publish::Publisher;
use server::restore::keep_restoring;
use server::totals::key_totals;
use settle::drain::Drainer;
use settle::housekeeping::{Housekeeping, Kept};
use settle::journal::disk::RealDisk;
use settle::journal::{Journal, JournalOptions};
use settle::payloads::{Queue, Writer};
use settle::stop::StopSignal;
use settle::tail::Tail;
use store::records::Records;
use store::resources::sqlite::SqliteResources;
use store::seal::MasterKey;

use crate::cli::{Failure, explained};
use crate::shutdown::Room;

/// How the gateway names itself to providers.
pub const USER_AGENT: &str = concat!("crossway/", env!("CARGO_PKG_VERSION"));

/// How long the key of a first start is good for, in seconds.
const FIRST_KEY_SECONDS: u64 = 30 * 24 * 3_600;

/// The assembled parts of a running gateway.
pub struct Parts {
    /// The shared part of the data plane.
    pub gateway: Arc<Gateway>,
    /// The journal.
    pub journal: Arc<Journal>,
    /// The control plane.
    pub plane: Arc<Plane>,
    /// The secret of a key made for this start.
    pub first_key: Option<Secret>,
    /// What environments may still spend.
    pub credits: Arc<Credits>,
    /// New records, for those who watch.
    pub tail: Tail,
    /// How events are told.
    pub events: Arc<Desk>,
    /// What became of requests that may be sent twice.
    pub outcomes: Keeper,
    /// The threads of journal, drainer and payloads, and what stops them.
    pub background: Background,
    /// Held as long as the process runs.
    pub lock: File,
}

/// The threads that write down what happened.
pub struct Background {
    stop: Arc<StopSignal>,
    threads: Vec<JoinHandle<()>>,
}

impl Background {
    /// Lets the threads write what is left and waits for them.
    pub fn finish(self) {
        self.stop.stop();
        for thread in self.threads {
            // A thread that panicked has nothing left to write; the journal is on disk.
            let _ = thread.join();
        }
    }
}

/// Creates the data directory, for its owner alone.
///
/// # Errors
/// When it cannot be created.
pub fn prepare_data_dir(path: &Path) -> Result<(), Failure> {
    let named = |error| format!("cannot create the data directory {}: {error}", path.display());
    if !path.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(named)?;
    }
    Ok(())
}

/// Refuses a data directory in which no gateway and no command has ever written anything: a command that reads, in the
/// wrong folder or with the wrong configuration, is not to answer as if everything were gone, and leaves nothing there.
///
/// # Errors
/// When there is nothing.
pub fn refuse_nothing(path: &Path) -> Result<(), Failure> {
    if path.join("control.db").exists() {
        return Ok(());
    }
    let missing = if path.is_dir() { "there are no data of a gateway in" } else { "there is no data directory" };
    let path = path.display();
    Err(format!("{missing} {path}: run this where crossway.toml is, or name it with --config").into())
}

/// Takes the data directory for this process.
///
/// # Errors
/// When another process has it, or the lock cannot be opened.
pub fn lock(path: &Path) -> Result<File, Failure> {
    let file = path.join("lock");
    let named = |error| format!("cannot open {}: {error}", file.display());
    let lock = File::options().create(true).truncate(false).write(true).open(&file).map_err(named)?;
    lock.set_permissions(fs::Permissions::from_mode(0o600))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another crossway is running on the data directory {}", path.display()).into())
        }
        Err(TryLockError::Error(error)) => Err(named(error).into()),
    }
}

/// Returns the master key; a data directory without anything in it gets a new one.
///
/// # Errors
/// When there are databases and no key that goes with them, or the key cannot be read or written.
pub fn master_key(settings: &settings::Settings) -> Result<MasterKey, Failure> {
    let directory = &settings.data_dir;
    let given = settings.master_key.as_ref().map(|key| key.expose());
    if given.is_none() && directory.join("control.db").exists() && !directory.join("master.key").exists() {
        let message = "master.key is missing from the data directory, and without it no API key works: put it back, or \
                       set CROSSWAY_MASTER_KEY. If it is lost, remove control.db to begin without keys";
        return Err(message.into());
    }
    Ok(MasterKey::load_or_create(directory, given)?)
}

/// Assembles everything but the listeners.
///
/// # Errors
/// When a part cannot be opened, and when the configuration is faulty.
pub fn assemble(written: Written, demo: bool) -> Result<Parts, Failure> {
    let settings = written.settings.clone();
    let authorities = authorities(&written).map_err(|fault| fault.to_string())?;
    let clock = Clock::system();
    prepare_data_dir(&settings.data_dir)?;
    let lock = lock(&settings.data_dir)?;
    let (journal, records) = journal(&settings.data_dir, &clock)?;
    let options = Options {
        body_limit: usize::try_from(settings.request_body_limit_bytes)?,
        fetch_private: settings.fetch_private,
        anonymous: match settings.anonymous {
            settings::Anonymous::Off => Anonymous::Off,
            settings::Anonymous::Loopback => Anonymous::Loopback,
            settings::Anonymous::All => Anonymous::All,
        },
        connections: Room::now().data,
        trusted_proxies: settings.trusted_proxies.clone(),
        ..Options::default()
    };
    let master = master_key(&settings)?;
    let outcomes = Keeper::new(settings.data_dir.clone(), master.results(), clock.clone());
    let hasher = Box::new(move |secret: &str| master.key_hash(secret));
    let gateway = Arc::new(Gateway::new(State::default(), hasher, clock.clone(), options));
    // It is set here alone.
    let _ = gateway.outcomes.set(Arc::new(outcomes.clone()));
    let tail = Tail::default();
    let ways = Ways {
        connector: Arc::new(TcpConnector::new(None).trusting(authorities)),
        private: settings.webhooks_private,
        user_agent: USER_AGENT.into(),
    };
    let events = Arc::new(Desk::new(&gateway, ways));
    let mut background = background(&gateway, &journal, records, (tail.clone(), &events), &settings.data_dir)?;
    let publish = Arc::new(Publisher::new(Arc::clone(&gateway), USER_AGENT));
    let plane = Arc::new(open_plane(written, publish, &clock)?);
    // Nobody has asked for anything yet: a budget that was used up is used up still.
    background.threads.extend(keep_restoring(&gateway, &settings.data_dir, &background.stop)?);
    let credits = Credits::restore(&gateway, &settings.data_dir);
    let credits = Arc::new(credits.map_err(|error| format!("the ledger cannot be read: {error}"))?);
    let pump = events.pump(&gateway, &plane, settings.data_dir.clone(), settings.smtp.as_ref())?;
    background.threads.push(pump.spawn(Arc::clone(&background.stop))?);
    warn_of_email(&gateway, &settings);
    let first_key = first_key(&plane, &clock, demo)?;
    Ok(Parts { gateway, journal, plane, first_key, credits, tail, events, outcomes, background, lock })
}

/// Opens the control plane of a configuration's data directory.
///
/// # Errors
/// When it cannot be opened, and when the configuration is faulty.
pub fn open_plane(written: Written, publish: Arc<dyn Publish>, clock: &Clock) -> Result<Plane, Failure> {
    prepare_data_dir(&written.settings.data_dir)?;
    // Before the database: where there is one, a missing master key is not made anew.
    let master = master_key(&written.settings)?;
    let opened = Plane::open(open::Options {
        store: Box::new(SqliteResources::open(&written.settings.data_dir)?),
        master,
        vendors: Arc::new(Vendors::builtin()),
        catalogue: Arc::new(Catalogue::builtin()),
        written: written.specs,
        stand_in: written.stand_in,
        publish,
        clock: clock.clone(),
        key_totals: Some(key_totals(written.settings.data_dir.clone())),
        addresses: address_check(written.settings.webhooks_private),
    });
    opened.map_err(explained)
}

/// Says that alerts want to send email and nobody can.
fn warn_of_email(gateway: &Gateway, settings: &settings::Settings) {
    if settings.smtp.is_some() {
        return;
    }
    let audiences = server::events::audiences(gateway);
    let all = audiences.iter().flat_map(|(environment, audience)| {
        audience.alerts.iter().filter(|alert| !alert.emails.is_empty()).map(move |alert| (environment, &alert.name))
    });
    let alerts = all.map(|(environment, name)| format!("{environment}/{name}")).collect::<Vec<_>>().join(", ");
    if !alerts.is_empty() {
        tracing::warn!(
            component = "events",
            alerts,
            "Alerts name email addresses, and no [smtp] is configured: their emails wait for a day"
        );
    }
}

/// Returns the authorities that the settings name.
///
/// # Errors
/// When the file cannot be read or holds none: with the place that names it.
pub fn authorities(written: &Written) -> Result<Authorities, Box<Problem>> {
    let Some(path) = &written.settings.ca_file else { return Ok(Authorities::default()) };
    let fault = |why: String| {
        let said = written.effective.iter().find(|setting| setting.name == "ca_file");
        let source = said.map_or("", |setting| setting.source.as_str());
        let (file, line) = match source.rsplit_once(':') {
            Some((file, line)) => (file, line.parse().ok()),
            None => (source, None),
        };
        let field = said.filter(|_| source == "environment").map_or("ca_file", |setting| setting.variable);
        Box::new(Problem::new(file, field, why).at(line))
    };
    let text = fs::read(path).map_err(|error| fault(format!("cannot read {}: {error}", path.display())))?;
    Authorities::read_pem(&text).map_err(|error| fault(format!("{}: {error}", path.display())))
}

/// Makes a key for a first start, and for every start of a demo.
fn first_key(plane: &Plane, clock: &Clock, demo: bool) -> Result<Option<Secret>, Failure> {
    let actor = Actor::local("first start");
    let one = ListQuery { limit: Some(1), ..ListQuery::default() };
    for environment in plane.environments() {
        if !demo && !plane.list(&actor, &environment, KEYS, &one).map_err(explained)?.data.is_empty() {
            return Ok(None);
        }
    }
    let now = clock.unix_ms();
    let expires_at = now / 1_000 + FIRST_KEY_SECONDS;
    let Value::Object(spec) =
        json!({"description": "made at start, to try the gateway", "expires_at": Timestamp(expires_at)})
    else {
        return Ok(None);
    };
    let draft = Draft { name: Some(format!("first-steps-{now}")), spec };
    Ok(plane.create(&actor, "default", KEYS, draft).map_err(explained)?.secret)
}

/// Opens the journal and the records, and settles what an earlier process left.
fn journal(data_dir: &Path, clock: &Clock) -> Result<(Arc<Journal>, Records), Failure> {
    let mut records = Records::open(data_dir)?;
    let (journal, recovery) = Journal::open(data_dir, Arc::new(RealDisk), JournalOptions::default(), clock.clone())?;
    let report = recovery.recover(&mut records)?;
    if report.settled + report.orphans + report.corrupt_tails > 0 {
        tracing::info!(
            component = "journal",
            settled = report.settled,
            orphans = report.orphans,
            corrupt_tails = report.corrupt_tails,
            "Recovered what an earlier process left"
        );
    }
    Ok((journal, records))
}

/// Starts the threads that write.
fn background(
    gateway: &Arc<Gateway>,
    journal: &Arc<Journal>,
    records: Records,
    (tail, events): (Tail, &Desk),
    data_dir: &Path,
) -> Result<Background, Failure> {
    let clock = gateway.clock.clone();
    let retention = {
        let gateway = Arc::clone(gateway);
        move || -> Vec<(String, Retention)> {
            let state = gateway.state();
            let kept = state.environments.values().map(|configuration| &configuration.snapshot.environment);
            kept.map(|environment| (environment.name.as_ref().to_owned(), environment.retention)).collect()
        }
    };
    let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
    let records_kept = {
        let retention = retention.clone();
        move || {
            let kept =
                |(environment, kept): (String, Retention)| Kept { environment, records: days(kept.records_days) };
            retention().into_iter().map(kept).collect()
        }
    };
    let content_kept =
        move || retention().into_iter().map(|(environment, kept)| (environment, days(kept.content_days))).collect();
    let stop = Arc::new(StopSignal::default());
    let housekeeping =
        Housekeeping::new(Box::new(records_kept)).with_outbox(Arc::clone(&events.seen), Arc::clone(&events.counts));
    let drainer = Drainer::new(Arc::clone(journal), records, clock.clone())
        .with_tail(tail)
        .with_announcing(announcing(gateway))
        .with_housekeeping(housekeeping)
        .spawn(Arc::clone(&stop))?;
    let queue = Arc::new(Queue::default());
    let writer = Writer::new(Arc::clone(&queue), data_dir.to_owned(), Box::new(content_kept), clock);
    // It is set here alone.
    let _ = gateway.payloads.set(queue);
    let threads = vec![drainer, journal.spawn(Arc::clone(&stop))?, writer.spawn(Arc::clone(&stop))?];
    Ok(Background { stop, threads })
}
