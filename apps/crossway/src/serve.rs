//! `crossway serve`: one thread per core for the data plane, one for the admin side.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use control::plane::Plane;
use demo::connector::DemoConnector;
use engine::gateway::Gateway;
use engine::worker::Worker;
use net::connector::{Connector, TcpConnector};
use policy::problem::Severity;
use server::admin::oidc::Relying;
use server::admin::people::{Front, Sessions};
use server::admin::{Admin, router};
use server::credits::Credits;
use server::data;
use server::listen::bind;
use server::native::Surfaces;
use settle::journal::Journal;
use tokio::net::TcpListener;
use tokio::runtime;

use crate::assemble::{Parts, USER_AGENT, assemble, authorities};
use crate::cli::{ConfigArgs, Failure};
use crate::reload::Reload;
use crate::shutdown::{Room, Stop};
use crate::{greeting, logging, people, shutdown};

/// How often the control database is asked whether another process changed it.
pub const WATCH: Duration = Duration::from_millis(40);

/// How many times it is asked until the ledger and the configuration file are looked at: once a second.
const ROUNDS: u32 = 25;

/// How long idle TCP connections to providers stay silent before they are probed.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// When the configuration is faulty or a part cannot be started.
pub fn serve(config: &ConfigArgs, demo: bool) -> Result<ExitCode, Failure> {
    let written = config.read(demo)?;
    logging::start(&written.settings.log)?;
    for problem in written.warnings.iter().filter(|problem| problem.severity == Severity::Warning) {
        tracing::warn!(component = "configuration", "{problem}");
    }
    shutdown::raise_descriptor_limit();
    let settings = written.settings.clone();
    let data_listener = listen(settings.listen)?;
    let admin_listener = listen(settings.admin_listen)?;
    let (data_address, admin_address) = (data_listener.local_addr()?, admin_listener.local_addr()?);
    let effective = written.effective.clone();
    let authorities = authorities(&written).map_err(|fault| fault.to_string())?;
    let hangup = Arc::new(AtomicBool::new(false));
    let reload = Reload::new(config.clone(), std::env::current_dir()?, demo, &written, Arc::clone(&hangup));
    let Parts { gateway, journal, plane, first_key, credits, tail, events, outcomes, background, lock: _lock } =
        assemble(written, demo)?;
    warn_of_configuration(&plane);
    let stop = Stop::default();
    let connector = TcpConnector::new(Some(KEEPALIVE));
    let connector: Arc<dyn Connector> = Arc::new(DemoConnector(Arc::new(connector.trusting(authorities))));
    let workers = start_workers(&gateway, &connector, &journal, &data_listener, &stop)?;
    drop(data_listener);
    watch(Arc::clone(&plane), Arc::clone(&credits), reload)?;
    let people = Arc::new(people::open(&settings.data_dir, gateway.clock.clone(), Arc::clone(&plane) as _)?);
    let setup_code = people.offer_set_up()?;
    let secrets = greeting::Secrets { first_key: first_key.as_ref(), setup_code: setup_code.as_ref() };
    greeting::greet(data_address, admin_address, settings.public_url.as_deref(), secrets)
        .map_err(|error| format!("nobody could read where the gateway listens: standard output: {error}"))?;
    warn_of_openness(&gateway, data_address);
    let journal_healthy = {
        let journal = Arc::clone(&journal);
        Box::new(move || journal.healthy())
    };
    let oidc = settings.oidc.map(|oidc| Relying::new(oidc, Arc::clone(&connector), gateway.clock.clone()));
    let front = Arc::new(Front::new(people, settings.public_url, oidc));
    let admin = Admin {
        gateway: Arc::clone(&gateway),
        plane,
        connector,
        user_agent: USER_AGENT.into(),
        settings: effective,
        data_dir: settings.data_dir,
        token: settings.admin_token,
        credits,
        tail,
        events,
        journal_healthy,
        address: admin_address,
        authenticators: vec![Box::new(Sessions(Arc::clone(&front)))],
        people: front,
        buckets: Default::default(),
        blocking: Default::default(),
    };
    let admin = Arc::new(admin);
    // It is set here alone.
    let _ = gateway.native.set(Arc::new(Surfaces::new(&admin)));
    let main = runtime::Builder::new_current_thread().enable_all().on_thread_start(step_behind).build()?;
    main.block_on(async {
        let listener = TcpListener::from_std(admin_listener)?;
        let admin = server::admin::serve::serve(listener, router(admin), gateway.clock.clone(), Room::now().admin);
        // The admin side answers to the end: readiness is read while the data plane drains.
        tokio::select! {
            () = admin => {}
            () = shutdown::drain(&gateway, &stop, settings.drain_delay, settings.grace) => {}
            () = shutdown::note_hangups(&hangup) => {}
            () = outcomes.sweep() => {}
        }
        Ok::<_, std::io::Error>(())
    })?;
    for worker in workers {
        // A worker that panicked has dropped its requests, and with them settled them.
        let _ = worker.join();
    }
    background.finish();
    tracing::info!(component = "shutdown", "Stopped");
    Ok(ExitCode::SUCCESS)
}

/// How much less of a busy processor the threads get that read databases for administrators: about a tenth.
const BEHIND: i32 = 10;

/// Lets callers go before administrators who ask for much. A runtime of one thread starts others only to block on.
fn step_behind() {
    // On Linux it is the thread's own; elsewhere it would be the whole process's. Without it nothing is wrong.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, BEHIND);
}

fn listen(address: SocketAddr) -> Result<StdListener, Failure> {
    bind(address).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                ": another process does, this gateway perhaps; stop it, or set listen and admin_listen"
            }
            std::io::ErrorKind::PermissionDenied => ": ports below 1024 need a right that this process does not have",
            std::io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
            _ => "",
        };
        format!("cannot listen on {address}: {error}{hint}").into()
    })
}

fn start_workers(
    gateway: &Arc<Gateway>,
    connector: &Arc<dyn Connector>,
    journal: &Arc<Journal>,
    listener: &StdListener,
    stop: &Stop,
) -> Result<Vec<thread::JoinHandle<()>>, Failure> {
    let count = thread::available_parallelism().map_or(1, usize::from);
    let mut workers = Vec::with_capacity(count);
    for number in 0..count {
        let worker = Arc::new(Worker::new(Arc::clone(gateway), Arc::clone(connector), journal.writer()));
        let (listener, stop) = (listener.try_clone()?, stop.clone());
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(async move {
                match TcpListener::from_std(listener) {
                    Ok(listener) => data::serve(listener, worker, stop.accepting).await,
                    Err(error) => tracing::error!(component = "listener", error = %error, "A worker cannot listen"),
                }
                // What is still open when nobody waits any more is dropped with the runtime, and thereby settled.
                stop.waiting.cancelled().await;
            });
        };
        workers.push(thread::Builder::new().name(format!("worker-{number}")).spawn(run)?);
    }
    Ok(workers)
}

/// Puts into effect what other processes and the configuration file change. The thread ends with the process.
fn watch(plane: Arc<Plane>, credits: Arc<Credits>, mut reload: Reload) -> Result<(), Failure> {
    let watch = move || {
        let (mut failing, mut behind) = (false, false);
        for round in (0..ROUNDS).cycle() {
            thread::park_timeout(WATCH);
            let result = plane.refresh();
            if let (false, Err(error)) = (failing, &result) {
                tracing::warn!(component = "control", error = %error, "The control database cannot be read");
            }
            failing = result.is_err();
            if round > 0 {
                continue;
            }
            let result = credits.poll();
            if let (false, Err(error)) = (behind, &result) {
                tracing::warn!(component = "credits", error = %error, "The ledger cannot be read: new credits do not count");
            }
            behind = result.is_err();
            reload.poll(&plane);
        }
    };
    thread::Builder::new().name("control".into()).spawn(watch)?;
    Ok(())
}

fn warn_of_configuration(plane: &Plane) {
    for problem in plane.environments().iter().flat_map(|environment| plane.problems(environment)) {
        tracing::warn!(component = "configuration", "{problem}");
    }
    if plane.demo_stands_in() {
        let hint = "set OPENAI_API_KEY or another provider's variable, write crossway.toml, or create a provider";
        tracing::warn!(
            component = "configuration",
            "no provider is configured: only the demo provider answers, with made-up text ({hint})"
        );
    }
}

fn warn_of_openness(gateway: &Gateway, address: SocketAddr) {
    use engine::gateway::Anonymous;
    if gateway.options.anonymous != Anonymous::Off {
        let calls = "/admin/systemprompt, /admin/guardrails, /admin/ratelimit, /admin/stats";
        let message = "Whoever needs no key may read and change the system prompt, the guardrails and the rate limit of these calls";
        tracing::warn!(component = "keys", calls, "{message}");
    }
    match gateway.options.anonymous {
        Anonymous::Off => {}
        Anonymous::Loopback => {
            tracing::warn!(component = "keys", "Requests from this machine need no key: they act as `anonymous`");
        }
        Anonymous::All => {
            tracing::warn!(component = "keys", address = %address, "NO request needs a key: all act as `anonymous`");
        }
    }
}
