//! The registry of kinds: one row each. A kind is its spec's type, where its secrets are, what it refers to, and how it
//! joins the others when an environment is compiled.

pub(crate) mod reader;
pub(crate) mod references;
pub(crate) mod secrets;

use policy::problem::{Origin, Problem};
use policy::spec::environment::EnvironmentSpec;
use policy::spec::{Entry, Specs};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::references::{OnDelete, Rule, SCOPE};
use self::secrets::SecretPath;
use crate::resource::Spec;

/// The plural name of the kind that holds the settings of environments.
pub const ENVIRONMENTS: &str = "environments";

/// The plural name of the kind of API keys.
pub const KEYS: &str = store::resources::KEYS;

/// The plural name of the kind of webhooks.
pub const WEBHOOKS: &str = "webhooks";

/// The plural name of the kind of providers.
pub const PROVIDERS: &str = "providers";

/// The plural name of the kind of teams.
pub const TEAMS: &str = "teams";

/// The plural name of the kind of alerts.
pub const ALERTS: &str = "alerts";

/// The plural name of the kind of credentials that people bring for their own keys.
pub const BYOK: &str = "byok";

/// The plural name of the kind of route configurations.
pub const ROUTES: &str = "routes";

/// A kind of resource.
pub struct Kind {
    /// Its plural name, as paths and documents say it.
    pub plural: &'static str,
    /// Its name in sentences.
    pub singular: &'static str,
    /// What lists of it can be filtered by.
    pub filters: &'static [&'static str],
    /// Where its spec holds secrets.
    pub(crate) secrets: &'static [SecretPath],
    /// What its spec refers to.
    pub(crate) references: &'static [Rule],
    /// The field that its name comes from when none is given, and that its name stands in for.
    pub(crate) name_field: Option<&'static str>,
    /// Reads a document and adds it to the others of its environment.
    pub(crate) add: fn(Incoming<'_>, &mut Specs),
    /// Returns what a configuration file says of this kind.
    pub(crate) of_file: fn(&Specs) -> Vec<Filed>,
}

/// A document that is being read: secrets in place.
pub(crate) struct Incoming<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its spec, with secrets in clear.
    pub(crate) spec: &'a Spec,
    /// Where faults are said to be; what is broken is noted in it.
    pub(crate) origin: Origin,
    /// What is wrong so far.
    pub(crate) problems: &'a mut Vec<Problem>,
}

impl Incoming<'_> {
    /// Reads the spec field by field.
    fn entry<T: DeserializeOwned + Default>(mut self) -> Entry<T> {
        let spec = reader::read(self.spec, &mut self.origin, self.problems);
        Entry { name: self.name.to_owned(), spec, origin: self.origin }
    }
}

/// A resource that a configuration file holds.
pub(crate) struct Filed {
    /// Its name.
    pub(crate) name: String,
    /// What it says, without secrets.
    pub(crate) spec: Spec,
    /// Where it is written.
    pub(crate) origin: Origin,
}

/// Every kind, in the order in which documents are exported.
pub static KINDS: [Kind; 14] = [
    Kind {
        plural: ENVIRONMENTS,
        singular: "environment",
        filters: &["q"],
        secrets: &[],
        references: &[
            Rule { field: "baseline_model", kind: "models", on_delete: OnDelete::Restrict },
            // Without it, keys that name no plan would have no limits.
            Rule { field: "default_plan", kind: "plans", on_delete: OnDelete::Restrict },
        ],
        name_field: None,
        add: |incoming, specs| specs.environment = incoming.entry::<EnvironmentSpec>(),
        of_file: |specs| {
            let entry = &specs.environment;
            if entry.origin.file.is_empty() { Vec::new() } else { filed(std::slice::from_ref(entry), None) }
        },
    },
    Kind {
        plural: PROVIDERS,
        singular: "provider",
        filters: &["q", "kind"],
        secrets: &[
            SecretPath::Field("api_key"),
            SecretPath::Each { list: "credentials", field: "value" },
            SecretPath::Members("headers"),
        ],
        references: &[],
        name_field: None,
        add: |incoming, specs| specs.providers.push(incoming.entry()),
        of_file: |specs| filed(&specs.providers, None),
    },
    Kind {
        plural: "models",
        singular: "model",
        filters: &["q", "provider"],
        secrets: &[],
        references: &[Rule { field: "provider", kind: "providers", on_delete: OnDelete::Restrict }],
        name_field: Some("slug"),
        add: |incoming, specs| specs.models.push(standing_in(incoming, |spec| &mut spec.slug)),
        of_file: |specs| filed(&specs.models, Some("slug")),
    },
    Kind {
        plural: TEAMS,
        singular: "team",
        filters: &["q"],
        secrets: &[],
        references: &[],
        name_field: None,
        add: |incoming, specs| specs.teams.push(incoming.entry()),
        of_file: |specs| filed(&specs.teams, None),
    },
    Kind {
        plural: "fallbacks",
        singular: "fallback policy",
        filters: &["q", "model"],
        secrets: &[],
        references: &[
            Rule { field: "model", kind: "models", on_delete: OnDelete::Restrict },
            Rule { field: "fallbacks[]", kind: "models", on_delete: OnDelete::Restrict },
        ],
        name_field: Some("model"),
        add: |incoming, specs| specs.fallbacks.push(standing_in(incoming, |spec| &mut spec.model)),
        of_file: |specs| filed(&specs.fallbacks, Some("model")),
    },
    Kind {
        plural: "guardrails",
        singular: "guardrail",
        filters: &["q"],
        secrets: &[],
        references: &[
            // Without its teams and keys it would be everybody's.
            Rule { field: "teams[]", kind: "teams", on_delete: OnDelete::Restrict },
            Rule { field: "keys[]", kind: KEYS, on_delete: OnDelete::Restrict },
        ],
        name_field: None,
        add: |incoming, specs| specs.guardrails.push(incoming.entry()),
        of_file: |specs| filed(&specs.guardrails, None),
    },
    Kind {
        plural: "prompts",
        singular: "prompt",
        filters: &["q"],
        secrets: &[],
        references: &[
            // Without its teams and keys it would be everybody's.
            Rule { field: "teams[]", kind: "teams", on_delete: OnDelete::Restrict },
            Rule { field: "keys[]", kind: KEYS, on_delete: OnDelete::Restrict },
        ],
        name_field: None,
        add: |incoming, specs| specs.prompts.push(incoming.entry()),
        of_file: |specs| filed(&specs.prompts, None),
    },
    Kind {
        plural: "limits",
        singular: "limit",
        filters: &["q"],
        secrets: &[],
        // Without its team or key it would bind nobody. Targets are checked when the environment is compiled.
        references: &[
            Rule { field: SCOPE, kind: "teams", on_delete: OnDelete::Restrict },
            Rule { field: SCOPE, kind: KEYS, on_delete: OnDelete::Restrict },
        ],
        name_field: None,
        add: |incoming, specs| specs.limits.push(incoming.entry()),
        of_file: |specs| filed(&specs.limits, None),
    },
    Kind {
        plural: "plans",
        singular: "plan",
        filters: &["q"],
        secrets: &[],
        references: &[],
        name_field: None,
        add: |incoming, specs| specs.plans.push(incoming.entry()),
        of_file: |specs| filed(&specs.plans, None),
    },
    Kind {
        plural: WEBHOOKS,
        singular: "webhook",
        filters: &["q"],
        secrets: &[SecretPath::Field("secret"), SecretPath::Field("previous_secret"), SecretPath::Members("headers")],
        references: &[],
        name_field: None,
        add: |incoming, specs| specs.webhooks.push(incoming.entry()),
        of_file: |_| Vec::new(),
    },
    Kind {
        plural: ALERTS,
        singular: "alert",
        filters: &["q"],
        secrets: &[],
        references: &[
            // Without its webhooks an alert might tell nobody.
            Rule { field: "webhooks[]", kind: WEBHOOKS, on_delete: OnDelete::Restrict },
            // Without its teams and keys it would be about everybody.
            Rule { field: "teams[]", kind: "teams", on_delete: OnDelete::Restrict },
            Rule { field: "keys[]", kind: KEYS, on_delete: OnDelete::Restrict },
        ],
        name_field: None,
        add: |incoming, specs| specs.alerts.push(incoming.entry()),
        of_file: |_| Vec::new(),
    },
    Kind {
        plural: BYOK,
        singular: "own credential",
        filters: &["q", "provider", "owner", "team"],
        secrets: &[SecretPath::Field("value")],
        references: &[
            Rule { field: "provider", kind: "providers", on_delete: OnDelete::Restrict },
            // Without its team and keys it would serve others.
            Rule { field: "team", kind: "teams", on_delete: OnDelete::Restrict },
            Rule { field: "keys[]", kind: KEYS, on_delete: OnDelete::Restrict },
        ],
        name_field: None,
        add: |incoming, specs| specs.byok.push(incoming.entry()),
        of_file: |_| Vec::new(),
    },
    Kind {
        plural: ROUTES,
        singular: "route",
        filters: &["q", "key"],
        secrets: &[],
        references: &[
            // A route of no key would be nobody's.
            Rule { field: "key", kind: KEYS, on_delete: OnDelete::Restrict },
            Rule { field: "**.model", kind: "models", on_delete: OnDelete::Restrict },
            Rule { field: "**.then", kind: "models", on_delete: OnDelete::Restrict },
            Rule { field: "**.otherwise", kind: "models", on_delete: OnDelete::Restrict },
            Rule { field: "**.candidates[]", kind: "models", on_delete: OnDelete::Restrict },
            Rule { field: "**.provider", kind: "providers", on_delete: OnDelete::Restrict },
            Rule { field: "**.credential", kind: BYOK, on_delete: OnDelete::Restrict },
        ],
        name_field: None,
        add: |incoming, specs| specs.routes.push(incoming.entry()),
        of_file: |specs| filed(&specs.routes, None),
    },
    Kind {
        plural: KEYS,
        singular: "key",
        filters: &["team", "owner", "status", "q"],
        secrets: &[],
        references: &[
            Rule { field: "team", kind: "teams", on_delete: OnDelete::Null },
            // An emptied list would mean all of them.
            Rule { field: "providers[]", kind: "providers", on_delete: OnDelete::Restrict },
            Rule { field: "models[]", kind: "models", on_delete: OnDelete::Restrict },
            // Without its plan a key would have no limits, or all of them.
            Rule { field: "plan", kind: "plans", on_delete: OnDelete::Restrict },
        ],
        name_field: None,
        // Keys are many: they are compiled one by one (`crate::keys`) and not with their environment.
        add: |_, _| {},
        of_file: |_| Vec::new(),
    },
];

/// Returns a kind by its plural name.
pub fn kind(plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.plural == plural)
}

/// Returns the kind of a singular name, as resource files may write it.
pub fn of_singular(singular: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.singular == singular)
}

/// Reads a spec; the document's name stands in for the field that is absent.
fn standing_in<T: DeserializeOwned + Default>(
    incoming: Incoming<'_>,
    field: fn(&mut T) -> &mut Option<String>,
) -> Entry<T> {
    let mut entry = incoming.entry();
    field(&mut entry.spec).get_or_insert_with(|| entry.name.clone());
    entry
}

/// Returns what a file says, as resources. An entry without a name is named by a field of its own, with its provider
/// before it when another has the name.
fn filed<T: Serialize>(entries: &[Entry<T>], name_field: Option<&str>) -> Vec<Filed> {
    let mut found: Vec<Filed> = Vec::with_capacity(entries.len());
    for entry in entries {
        let spec = match serde_json::to_value(&entry.spec) {
            Ok(Value::Object(spec)) => without_empty(spec),
            _ => Spec::new(),
        };
        let text = |field: &str| spec.get(field).and_then(Value::as_str).map(str::to_owned);
        let mut name = name_field.and_then(text).unwrap_or_else(|| entry.name.clone());
        if found.iter().any(|other| other.name == name) {
            name = format!("{}/{name}", text("provider").unwrap_or_default());
        }
        found.push(Filed { name, spec, origin: entry.origin.clone() });
    }
    found
}

/// Leaves out what says nothing. Header names stay: they are null because their values are not shown.
fn without_empty(spec: Spec) -> Spec {
    let mut kept = Spec::new();
    for (name, value) in spec {
        let value = match value {
            Value::Object(members) if name != "headers" => Value::Object(without_empty(members)),
            Value::Array(items) => items.into_iter().map(item_without_empty).collect(),
            value => value,
        };
        let says = match &value {
            Value::Null => false,
            // The switches that are on when nothing is said.
            Value::Bool(on) => *on || name == "enabled" || name == "active",
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        };
        if says {
            kept.insert(name, value);
        }
    }
    kept
}

fn item_without_empty(item: Value) -> Value {
    match item {
        Value::Object(members) => Value::Object(without_empty(members)),
        item => item,
    }
}
