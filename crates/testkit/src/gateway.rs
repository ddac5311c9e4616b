//! A running gateway: built in one line, asked in one line, checked in one line.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use control::people::People;
use control::people::password::Hasher;
use engine::worker::Worker;
use net::connector::Connector;
use policy::secret::Secret;
use policy::spec::key::KeySpec;
use server::admin::blocking::Blocking;
use server::admin::oidc::Relying;
use server::admin::people::{Front, Sessions};
use server::admin::serve::connection;
use server::admin::throttle::Buckets;
use server::admin::{Admin, router};
use server::data;
use server::events::{Desk, Ways};
use server::native::Surfaces;
use settle::events::pump::Pump;
use store::records::record::RequestRecord;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::assembly::{Assembly, USER_AGENT};
use crate::client::{Client, Reply};
use crate::people::People as Named;
use crate::pipe::PipeListener;
use crate::provider::{Provider, Scripted};
use crate::script::Script;

/// The name of the key that every gateway has.
pub const KEY: &str = "first";

/// The token of the admin side.
pub const ADMIN_TOKEN: &str = "admin-token-canary";

/// What a pipe between client and gateway holds.
const PIPE_BYTES: usize = 16 << 10;

/// A request that every provider can answer.
pub const REQUEST: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

/// The same as a stream.
pub const STREAM: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}"#;

/// Describes a gateway.
pub struct Builder {
    settings: String,
    config: String,
    suffix: &'static str,
    providers: Vec<Described>,
    hosts: Vec<(String, Vec<Script>)>,
    private: HashSet<String>,
    admin_token: bool,
    control_pages: Option<u32>,
}

/// A provider that is to be.
struct Described {
    name: String,
    kind: &'static str,
    toml: String,
    scripts: Vec<Script>,
}

impl Builder {
    /// Adds settings of the process, as at the top of a `crossway.toml`.
    #[must_use]
    pub fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self.settings.push('\n');
        self
    }

    /// Adds tables to the configuration.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.config.push('\n');
        self
    }

    /// Adds a provider with one script for every request. It serves `m` (at the provider: `up-m`; 2 and 8 dollars per
    /// million tokens), which is its default model, and has the credential of [`credential`].
    #[must_use]
    pub fn provider(self, name: &str, script: Script) -> Self {
        self.provider_with(name, "", vec![script])
    }

    /// Adds a provider with further lines of configuration and a script for each request; the last is repeated.
    #[must_use]
    pub fn provider_with(self, name: &str, toml: &str, scripts: Vec<Script>) -> Self {
        self.described(name, "openai-compatible", toml, scripts)
    }

    /// Adds a provider of another kind, that is, of another dialect.
    #[must_use]
    pub fn provider_of(self, name: &str, kind: &'static str, scripts: Vec<Script>) -> Self {
        self.described(name, kind, "", scripts)
    }

    /// Adds a provider of another kind with further lines of configuration.
    #[must_use]
    pub fn provider_like(self, name: &str, kind: &'static str, toml: &str, scripts: Vec<Script>) -> Self {
        self.described(name, kind, toml, scripts)
    }

    /// Adds a host that is no provider: `NAME.test`, or an address.
    #[must_use]
    pub fn host(mut self, name: &str, scripts: Vec<Script>) -> Self {
        self.hosts.push((name.to_owned(), scripts));
        self
    }

    /// Adds a host whose name leads to a private address.
    #[must_use]
    pub fn private_host(mut self, name: &str, scripts: Vec<Script>) -> Self {
        self.private.insert(name.to_owned());
        self.host(name, scripts)
    }

    fn described(mut self, name: &str, kind: &'static str, toml: &str, scripts: Vec<Script>) -> Self {
        self.providers.push(Described { name: name.to_owned(), kind, toml: toml.to_owned(), scripts });
        self
    }

    /// Reaches providers by their bare names, as hosts of a simulation.
    #[must_use]
    pub fn simulated(mut self) -> Self {
        self.suffix = "";
        self
    }

    /// Leaves the admin side without a token.
    #[must_use]
    pub fn without_admin_token(mut self) -> Self {
        self.admin_token = false;
        self
    }

    /// Lets the control database grow by so many pages: then its disk is full.
    #[must_use]
    pub fn control_pages(mut self, pages: u32) -> Self {
        self.control_pages = Some(pages);
        self
    }

    /// Puts the parts together; nothing runs yet.
    pub fn assemble(&self) -> Assembly {
        match self.control_pages {
            Some(pages) => Assembly::with_control_pages(&self.text(), pages),
            None => Assembly::new(&self.text()),
        }
    }

    /// Returns the configuration.
    fn text(&self) -> String {
        let mut config = self.settings.clone();
        for Described { name, kind, toml, .. } in &self.providers {
            let (suffix, credential) = (self.suffix, credential(name));
            config.push_str(&format!(
                "[providers.{name}]\nkind = \"{kind}\"\nbase_url = \"http://{name}{suffix}/v1\"\n\
                 api_key = \"{credential}\"\ndefault_model = \"m\"\n{toml}\n"
            ));
        }
        for Described { name, .. } in &self.providers {
            config.push_str(&format!(
                "[[models]]\nslug = \"m\"\nprovider = \"{name}\"\nupstream_name = \"up-m\"\ninput_price = 2\n\
                 output_price = 8\nmax_output_tokens = 1000\n"
            ));
        }
        config.push_str(&self.config);
        config
    }

    /// Starts the gateway in the runtime of the test.
    pub fn start(self) -> Gateway {
        let assembly = self.assemble();
        let secret = assembly.create_key(KEY, KeySpec::default());
        self.started(assembly, secret)
    }

    /// Starts a gateway that follows one which was killed at this moment, so much later. What happened to that one before
    /// is known to this one; the key `first` is not its own.
    pub fn assemble_after(self, before: &Assembly, after: Duration) -> Gateway {
        let assembly = before.restarted(&self.text(), after);
        let secret = assembly.create_key("after", KeySpec::default());
        self.started(assembly, secret)
    }

    fn started(self, assembly: Assembly, secret: String) -> Gateway {
        let described = self.providers.into_iter().map(|described| (described.name, described.scripts));
        let providers: HashMap<_, _> =
            described.chain(self.hosts).map(|(name, scripts)| (name, Provider::new(scripts))).collect();
        let connector: Arc<dyn Connector> = Arc::new(Scripted { hosts: providers.clone(), private: self.private });
        let worker =
            Arc::new(Worker::new(Arc::clone(&assembly.core), Arc::clone(&connector), assembly.journal.writer()));
        let (connections, accepting) = unbounded_channel();
        let stop = CancellationToken::new();
        let serving = data::serve(PipeListener(accepting), Arc::clone(&worker), stop.clone());
        assembly.core.tasks.spawn(serving);
        let checked = Cell::new(false);
        let people = people(&assembly, &connector);
        let private = assembly.webhooks_private;
        let ways = Ways { connector: Arc::clone(&connector), private, user_agent: USER_AGENT.into() };
        let events = Arc::new(Desk::new(&assembly.core, ways));
        let pump = events.pump(&assembly.core, &assembly.plane, assembly.directory.0.clone(), None);
        let pump = tokio::sync::Mutex::new(pump.expect("a pump"));
        let admin = Arc::new(admin(&assembly, &people, (connector, &events), self.admin_token));
        let native = Surfaces::new(&admin);
        assert!(assembly.core.native.set(Arc::new(native)).is_ok(), "it is set once");
        let admin_router = router(admin);
        Gateway { assembly, secret, worker, people, providers, connections, stop, checked, admin_router, events, pump }
    }
}

/// Opens the people, whose passwords cost little here.
fn people(assembly: &Assembly, connector: &Arc<dyn Connector>) -> Arc<Front> {
    let store = store::people::People::open(&assembly.directory.0).expect("a control database");
    let (clock, plane) = (assembly.core.clock.clone(), Arc::clone(&assembly.plane));
    let people = People::new(Box::new(store), clock.clone(), Hasher::new(8, 1, 1), plane);
    let oidc = assembly.oidc.clone().map(|oidc| Relying::new(oidc, Arc::clone(connector), clock));
    Arc::new(Front::new(Arc::new(people), assembly.public_url.clone(), oidc))
}

/// Puts the admin side together, as the binary does.
fn admin(
    assembly: &Assembly,
    people: &Arc<Front>,
    (connector, events): (Arc<dyn Connector>, &Arc<Desk>),
    token: bool,
) -> Admin {
    let journal = Arc::clone(&assembly.journal);
    Admin {
        gateway: Arc::clone(&assembly.core),
        plane: Arc::clone(&assembly.plane),
        connector,
        user_agent: USER_AGENT.into(),
        settings: assembly.settings.clone(),
        data_dir: assembly.directory.0.clone(),
        token: token.then(|| Secret::new(ADMIN_TOKEN)),
        authenticators: vec![Box::new(Named), Box::new(Sessions(Arc::clone(people)))],
        people: Arc::clone(people),
        credits: Arc::clone(&assembly.credits),
        tail: assembly.tail.clone(),
        events: Arc::clone(events),
        journal_healthy: Box::new(move || journal.healthy()),
        address: SocketAddr::from(([127, 0, 0, 1], 8081)),
        buckets: Buckets::default(),
        blocking: Blocking::default(),
    }
}

/// Returns the credential of a provider, to be looked for where it must not be.
pub fn credential(provider: &str) -> String {
    format!("sk-upstream-canary-{provider}")
}

/// A running gateway. A test ends with [`Gateway::records`], [`Gateway::one`] or [`Gateway::none`].
pub struct Gateway {
    /// Its parts.
    pub assembly: Assembly,
    /// The secret of the key `first`.
    pub secret: String,
    /// Its one worker.
    pub worker: Arc<Worker>,
    /// The people who may sign in; there is nobody at first.
    pub people: Arc<Front>,
    /// Stops it.
    pub stop: CancellationToken,
    providers: HashMap<String, Arc<Provider>>,
    connections: UnboundedSender<(DuplexStream, SocketAddr)>,
    checked: Cell<bool>,
    admin_router: axum::Router,
    /// How events are told.
    pub events: Arc<Desk>,
    pump: tokio::sync::Mutex<Pump>,
}

impl Gateway {
    /// Describes a gateway.
    pub fn builder() -> Builder {
        Builder {
            settings: String::new(),
            config: String::new(),
            suffix: ".test",
            providers: Vec::new(),
            hosts: Vec::new(),
            private: HashSet::new(),
            admin_token: true,
            control_pages: None,
        }
    }

    /// Returns a provider.
    pub fn provider(&self, name: &str) -> &Arc<Provider> {
        self.providers.get(name).expect("a provider of the test")
    }

    /// Opens a connection from this machine.
    pub fn client(&self) -> Client {
        self.client_from("127.0.0.1:40000", PIPE_BYTES)
    }

    /// Opens a connection from a peer, through a pipe that holds some bytes.
    pub fn client_from(&self, peer: &str, pipe_bytes: usize) -> Client {
        // So that ids are in the order of the connections.
        self.assembly.hands.advance(Duration::from_millis(1));
        let (ours, theirs) = duplex(pipe_bytes);
        let accepted = (theirs, peer.parse().expect("an address"));
        assert!(self.connections.send(accepted).is_ok(), "the gateway accepts");
        Client::new(Box::new(ours))
    }

    /// Returns the header lines of a usual request.
    pub fn fields(&self) -> String {
        format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", self.secret)
    }

    /// Sends a chat completion on a new connection and returns that.
    pub async fn begin(&self, body: &str) -> Client {
        let mut client = self.client();
        client.request("POST /v1/chat/completions", &self.fields(), body.as_bytes()).await;
        client
    }

    /// Asks for a chat completion.
    pub async fn chat(&self, body: &str) -> Reply {
        self.begin(body).await.reply().await
    }

    /// Asks for a chat completion with further header lines, each with its line end.
    pub async fn chat_with(&self, fields: &str, body: &str) -> Reply {
        let fields = self.fields() + fields;
        self.ask("POST /v1/chat/completions", &fields, body).await
    }

    /// Asks for a message, that is, through the Anthropic surface, with further header lines.
    pub async fn messages_with(&self, fields: &str, body: &str) -> Reply {
        let fields = format!("x-api-key: {}\r\nanthropic-version: 2023-06-01\r\n{fields}", self.secret);
        self.ask("POST /v1/messages", &fields, body).await
    }

    /// Asks for a message.
    pub async fn messages(&self, body: &str) -> Reply {
        self.messages_with("", body).await
    }

    /// Sends any request on a new connection; nothing is added but host and length.
    pub async fn ask(&self, line: &str, fields: &str, body: &str) -> Reply {
        let mut client = self.client();
        client.request(line, fields, body.as_bytes()).await;
        client.reply().await
    }

    /// Sends bytes on a new connection and returns all that comes until the gateway closes it.
    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.client();
        client.send(bytes).await;
        String::from_utf8_lossy(&client.read_to_end().await).into_owned()
    }

    /// Asks the admin side.
    pub async fn admin(&self, line: &str, fields: &str) -> Reply {
        let mut client = self.admin_client("127.0.0.1:50000");
        let host = if fields.contains("host:") { "" } else { "host: localhost\r\n" };
        client.send(format!("{line} HTTP/1.1\r\n{host}{fields}\r\n")).await;
        client.reply().await
    }

    /// Asks the admin API with the admin token, with a body when it is not null.
    pub async fn api(&self, line: &str, body: &serde_json::Value) -> Reply {
        self.api_with(line, &format!("authorization: Bearer {ADMIN_TOKEN}\r\n"), body).await
    }

    /// Asks the admin API as somebody with a role; see [`crate::people`].
    pub async fn api_as(&self, who: &str, line: &str, body: &serde_json::Value) -> Reply {
        self.api_with(line, &format!("authorization: Test {who}\r\n"), body).await
    }

    /// Asks the admin API with any header lines, each with its line end.
    pub async fn api_with(&self, line: &str, fields: &str, body: &serde_json::Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let typed = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let mut client = self.admin_client("127.0.0.1:50000");
        let length = body.len();
        let fields = if fields.contains("content-type:") { fields.to_owned() } else { format!("{fields}{typed}") };
        client
            .send(format!("{line} HTTP/1.1\r\nhost: localhost\r\n{fields}content-length: {length}\r\n\r\n{body}"))
            .await;
        let mut reply = client.head().await;
        if line.starts_with("HEAD ") || matches!(reply.status, 204 | 304) {
            reply.headers.retain(|(name, _)| name != "content-length");
        }
        client.rest(reply).await
    }

    /// Opens a connection to the admin side from a peer.
    pub fn admin_client(&self, peer: &str) -> Client {
        // So that nobody who asks one thing after another is refused for asking too often.
        self.assembly.hands.advance(Duration::from_millis(50));
        let (ours, theirs) = duplex(PIPE_BYTES);
        let (router, clock) = (self.admin_router.clone(), self.assembly.core.clock.clone());
        let serving = connection(theirs, peer.parse().expect("an address"), router, clock);
        self.assembly.core.tasks.spawn(serving);
        Client::new(Box::new(ours))
    }

    /// Tells everybody what happened, and works off what is due. What is to be told later needs the clock to move.
    pub async fn tell(&self) {
        self.assembly.drain();
        self.pump.lock().await.work_off().await.expect("events are told");
    }

    /// Returns requests, tokens and nano-dollars that are held now.
    pub fn held(&self) -> (u64, u64, u64) {
        self.assembly.core.held.now()
    }

    /// Waits until nothing is in flight, checks what must hold then, and returns the records, oldest first.
    pub async fn records(&self, expected: usize) -> Vec<RequestRecord> {
        self.assembly.quiet().await;
        self.checked.set(true);
        self.assembly.records(expected)
    }

    /// As [`Gateway::records`], where nobody knows how many requests were admitted.
    pub async fn recorded(&self) -> Vec<RequestRecord> {
        self.assembly.quiet().await;
        self.checked.set(true);
        self.assembly.recorded()
    }

    /// Says that another gateway's records are looked at instead.
    pub fn unchecked(&self) {
        self.checked.set(true);
    }

    /// As [`Gateway::records`], for a scenario with one admitted request.
    pub async fn one(&self) -> RequestRecord {
        self.records(1).await.remove(0)
    }

    /// As [`Gateway::records`], for a scenario in which nothing is admitted.
    pub async fn none(&self) {
        self.records(0).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
        assert!(self.checked.get() || std::thread::panicking(), "a scenario ends by looking at its records");
    }
}
