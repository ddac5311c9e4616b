//! Faulty configurations: every fault is reported, where it is, and without the secrets.

use std::fmt::Write;

use policy::load::load_text;
use policy::problem::{Problem, Severity};

fn faults(text: &str) -> Vec<Problem> {
    let env = |name: &str| (name == "CANARY").then(|| CANARY.to_owned());
    let mut problems = load_text("crossway.toml", text, &env, false).map_or_else(|problems| problems, |l| l.warnings);
    problems.sort_by_key(|problem| problem.line);
    problems
}

fn check(text: &str, expect: &[&str]) {
    let found: Vec<String> = faults(text).iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "\n{text}");
}

/// A provider, so that nothing else is wrong.
const GOOD: &str = "[providers.openai]\napi_key = \"k\"\n";

const CANARY: &str = "sk-canary-4711";

#[test]
fn settings() {
    check(
        &format!("listne = \"x\"\nadmin_listen = \"here\"\nanonymous = true\ngrace = \"soon\"\nlog = \"inof\"\n{GOOD}"),
        &[
            "crossway.toml:1: listne: unknown setting (did you mean listen?)",
            "crossway.toml:2: admin_listen: not an IP address and a port (write it like 127.0.0.1:8081)",
            "crossway.toml:3: anonymous: expected a string in quotes, found true or false",
            "crossway.toml:4: grace: not a duration of at most a day (write it like 30s or 5m)",
            "crossway.toml:5: log: not a log level (did you mean info?)",
        ],
    );
    check(
        &format!("admin_token = \"\"\ndatabase_url = \"postgres://u:{CANARY}@h/d\"\nredis_url = \"redis://h\"\n{GOOD}"),
        &[
            "crossway.toml:1: admin_token: set but empty (unset it to have none)",
            "crossway.toml:2: database_url: PostgreSQL is not supported yet (leave it out, or write sqlite: alone; data_dir says \
             where state is kept)",
            "crossway.toml:3: redis_url: Redis is not supported yet (leave it out: one node needs none)",
        ],
    );
    check(
        &format!("data_dir = \"~/state\"\ndatabase_url = \"sqlite:/var/{CANARY}.db\"\n{GOOD}"),
        &[
            "crossway.toml:1: data_dir: `~` stands for no folder here (write the whole path)",
            "crossway.toml:2: database_url: the databases lie in the data directory (leave it out, or write sqlite: alone; \
             data_dir says where state is kept)",
        ],
    );
    check(
        &format!(
            "drain_delay = \"2w\"\nca_file = \"\"\ntrusted_proxies = \"127.0.0.1, proxy, 10.1.0.0/8, ::1/129\"\n{GOOD}"
        ),
        &[
            "crossway.toml:1: drain_delay: not a duration of at most a day (write it like 30s or 5m)",
            "crossway.toml:2: ca_file: empty (leave it out to trust the system's authorities alone)",
            "crossway.toml:3: trusted_proxies: not a network (write an address, or one and its prefix, such as 10.0.0.0/8)",
            "crossway.toml:3: trusted_proxies: bits behind the prefix are set (the network is 10.0.0.0/8)",
            "crossway.toml:3: trusted_proxies: the prefix is longer than the address (it has at most 128 bits)",
        ],
    );
    check(
        &format!("provider = 1\nlisten = \"127.0.0.1:8081\"\n{GOOD}"),
        &[
            "crossway.toml: admin_listen: the same address as listen",
            "crossway.toml:1: provider: unknown setting (did you mean providers?)",
        ],
    );
    check(
        "[providers.gpu]\nkind = \"vllm\"\n[[models]]\nslug = \"m\"\nprovider = \"gpu\"\ninput_price = 1\n",
        &["crossway.toml:3: models[0].output_price: missing: another price of this model is set"],
    );
}

/// Acceptance AUTH-08.
#[test]
fn empty_secret_variables() {
    let env = |name: &str| matches!(name, "CROSSWAY_ADMIN_TOKEN" | "CROSSWAY_LOG").then(String::new);
    let problems = load_text("crossway.toml", GOOD, &env, false).unwrap_err();
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["environment: CROSSWAY_ADMIN_TOKEN: set but empty (unset it to have none)"]);
}

#[test]
fn providers() {
    check(
        "[providers.opnai]\napi_key = \"k\"\n[providers.a]\nkind = \"grok\"\n[providers.groq]\n[providers.\"B b\"]\n\
         kind = \"vllm\"\n[providers.azure]\napi_key = \"k\"\n[providers.openai]\napi_key = \"k\"\n",
        &[
            "crossway.toml:1: providers.opnai.kind: missing, and the name is no vendor (did you mean openai?)",
            "crossway.toml:4: providers.a.kind: unknown vendor (did you mean groq?)",
            "crossway.toml:5: providers.groq.api_key: missing: Groq wants a credential (set it, or GROQ_API_KEY)",
            "crossway.toml:6: providers.B b: not a provider name: 1 to 63 lower-case letters, digits, dots, dashes or \
             underscores",
            "crossway.toml:6: warning: providers.B b: it serves no model: add default_model or a [[models]] entry",
            "crossway.toml:8: providers.azure.base_url: missing: Azure OpenAI has no usual address (set it, or \
             CROSSWAY_AZURE_BASE_URL)",
            "crossway.toml:8: warning: providers.azure: it serves no model: add default_model or a [[models]] entry",
        ],
    );
    check(
        "[providers.openai]\nbase_url = \"htp://x\"\ncredentials = [\n  { value = \"a b\" },\n  { weight = 0 },\n  7,\n]\n\
         timeout_ms = 0\nidle_timeout_ms = 86400001\nfirst_token_timeout_ms = \"1\"\nforce_default_model = \"yes\"\n\
         default_model = \"gpt-4o-mimi\"\nheaders = { Host = \"x\", \"a b\" = \"c\" }\n",
        &[
            "crossway.toml:2: providers.openai.base_url: not an http or https URL (write it like \
             https://api.example.com/v1)",
            "crossway.toml:4: providers.openai.credentials[0].value: it holds a space, a line break or a character that \
             is not ASCII",
            "crossway.toml:5: providers.openai.credentials[1].weight: not between 1 and 1000000",
            "crossway.toml:5: providers.openai.credentials[1].value: missing",
            "crossway.toml:6: providers.openai.credentials[2]: expected a table with value and weight, found a whole \
             number",
            "crossway.toml:8: providers.openai.timeout_ms: not between 1 and 86400000 milliseconds (24 hours)",
            "crossway.toml:9: providers.openai.idle_timeout_ms: not between 1 and 86400000 milliseconds (24 hours)",
            "crossway.toml:10: providers.openai.first_token_timeout_ms: expected a whole number that is not negative, \
             found a string",
            "crossway.toml:11: providers.openai.force_default_model: expected true or false, found a string",
            "crossway.toml:12: providers.openai.default_model: the provider has no model of this name (did you mean \
             gpt-4o-mini?)",
            "crossway.toml:13: providers.openai.headers.Host: this header belongs to the gateway (use api_key for a \
             credential, and leave framing to the gateway)",
            "crossway.toml:13: providers.openai.headers.a b: not a header name (use api_key for a credential, and leave \
             framing to the gateway)",
        ],
    );
}

#[test]
fn scopes_and_modes() {
    check(
        &format!(
            "{GOOD}[guardrails.a]\nmin_length = 1\nteams = []\n[guardrails.b]\nmin_length = 1\nteam = \"x\"\n\
             [guardrails.c]\nmin_length = 1\nteams = [\"x\"]\nkeys = [\"y\"]\n[guardrails.d]\nmin_length = 1\n\
             keys = [\"y\", \" \", \"y\"]\nmode = \"off\"\n[guardrails.e]\nmin_length = 1\nmode = \"observ\"\n\
             [guardrails.f]\nmin_length = 1\nmode = \"log\"\nteams = \"x\"\n[prompts.p]\ntext = \"x\"\nkeys = []\n"
        ),
        &[
            "crossway.toml:5: guardrails.a.teams: empty (leave it out for the whole environment, or write enabled = false)",
            "crossway.toml:8: guardrails.b.team: unknown setting (did you mean teams?)",
            "crossway.toml:12: guardrails.c.keys: teams are named too (write one for the teams and one for the keys)",
            "crossway.toml:15: guardrails.d.keys[1]: empty",
            "crossway.toml:15: guardrails.d.keys[2]: the same name twice",
            "crossway.toml:16: guardrails.d.mode: unknown mode (write enabled = false)",
            "crossway.toml:19: guardrails.e.mode: unknown mode (did you mean observe?)",
            "crossway.toml:22: guardrails.f.mode: unknown mode (known: enforce, observe)",
            "crossway.toml:23: guardrails.f.teams: expected a list in brackets, found a string",
            "crossway.toml:26: prompts.p.keys: empty (leave it out for the whole environment, or write enabled = false)",
        ],
    );
    let all = "[guardrails.all]\nmax_length = 40\n";
    check(
        &format!("{GOOD}{all}[guardrails.a]\nmin_length = 50\nteams = [\"x\", \"y\"]\n"),
        &["crossway.toml:5: guardrails.a: no text is allowed: guardrails.a wants at least 50 characters, \
             guardrails.all at most 40"],
    );
    check(&format!("{GOOD}{all}[guardrails.a]\nmin_length = 50\nkeys = [\"x\"]\nmode = \"observe\"\n"), &[]);
    check(
        &format!(
            "{GOOD}[guardrails.b]\nmax_length = 40\nkeys = [\"y\"]\n[guardrails.a]\nmin_length = 50\nkeys = [\"x\"]\n"
        ),
        &[],
    );
}

#[test]
fn models() {
    check(
        "[providers.openai]\napi_key = \"k\"\n[[models]]\nslug = \"auto\"\nprovider = \"openai\"\n[[models]]\n\
         slug = \"x\"\nprovider = \"opena\"\ninput_price = 0.0000001\n[[models]]\nslug = \"y\"\nprovider = \"openai\"\n\
         input_price = -1\noutput_price = \"dear\"\nquality = 101\ncontext_window = 0\n[[models]]\nslug = \"Y\"\n\
         provider = \"openai\"\n[[models]]\nprovider = \"openai\"\nslgu = \"z\"\ncached_input_price = 1\n",
        &[
            "crossway.toml:4: models[0].slug: reserved for a policy: auto, cheapest, fastest, best",
            "crossway.toml:8: models[1].provider: no provider of this name is configured (did you mean openai?)",
            "crossway.toml:9: models[1].input_price: finer than a millionth of a dollar per million units (US dollars \
             per million tokens)",
            "crossway.toml:13: models[2].input_price: a price cannot be negative (US dollars per million tokens)",
            "crossway.toml:14: models[2].output_price: not a decimal number of US dollars (US dollars per million tokens)",
            "crossway.toml:15: models[2].quality: not between 0 and 100",
            "crossway.toml:16: models[2].context_window: zero",
            "crossway.toml:18: models[3].slug: the provider has a model of this slug already (the first one is on line \
             10)",
            "crossway.toml:20: models[4].slug: missing",
            "crossway.toml:22: models[4].slgu: unknown setting (did you mean slug?)",
        ],
    );
}

#[test]
fn prices() {
    check(
        "[providers.openai]\napi_key = \"k\"\n[[models]]\nslug = \"x\"\nprovider = \"openai\"\nmode = \"embeding\"\n\
         cache_write_price = 1\nprice_per_image = -2\n[[models.price_rows]]\ninput_price = 1\n\
         [[models.price_rows]]\nservice_tier = \"flexible\"\ninput_price = 1\n[[models.price_rows]]\nabove_input_tokens = 5\n\
         [[models.price_rows]]\nservice_tier = \"flex\"\ninput_price = \"x\"\n[[models.price_rows]]\n\
         service_tier = \"flex\"\ninput_price = 1\n",
        &[
            "crossway.toml:3: models[0].input_price: missing: another price of this model is set",
            "crossway.toml:3: models[0].output_price: missing: another price of this model is set",
            "crossway.toml:6: models[0].mode: not one of chat, completion, embedding, image, transcription, speech, \
             rerank, moderation, realtime (did you mean embedding?)",
            "crossway.toml:8: models[0].price_per_image: a price cannot be negative (US dollars per image)",
            "crossway.toml:9: models[0].price_rows[0]: neither service_tier nor above_input_tokens: these are the usual \
             prices, written above",
            "crossway.toml:12: models[0].price_rows[1].service_tier: not one of flex, priority, batch",
            "crossway.toml:14: models[0].price_rows[2]: no price",
            "crossway.toml:18: models[0].price_rows[3].input_price: not a decimal number of US dollars (US dollars per \
             million tokens)",
            "crossway.toml:19: models[0].price_rows[4]: the same service_tier and above_input_tokens twice",
        ],
    );
    check(
        "[providers.openai]\napi_key = \"k\"\n[[models]]\nslug = \"x\"\nprovider = \"openai\"\n\
         [[models.price_rows]]\nabove_input_token = 1\ninput_price = 1\n",
        &[
            "crossway.toml:7: models[0].price_rows: expected one of `service_tier`, `above_input_tokens`, `input_price`, \
           `output_price`, `cached_input_price`, `cache_write_price`, `cache_write_1h_price`, `reasoning_price`",
        ],
    );
}

#[test]
fn guardrails() {
    let long = "x".repeat(501);
    let text = format!(
        "{GOOD}[guardrails.a]\nbanned_phrases = [\"fine\", \" \", \"FINE\", \"{long}\"]\nmin_length = 30\nmax_length = 20\n\
         apply_to = [\"replies\", \"request\"]\n[guardrails.b]\nrequire_disclaimer = true\nmin_length = 10001\n\
         [guardrails.c]\n[guardrails.\"D d\"]\nmax_length = 0\nbaned_phrases = []\n[guardrails.e]\n\
         disclaimer = \"x\"\napply_to = []\n[guardrails.f]\nrequire_disclaimer = true\ndisclaimer = \"x\"\n\
         apply_to = [\"request\"]\n[guardrails.g]\nbanned_phrases = \"x\"\nmin_length = -1\n"
    );
    check(
        &text,
        &[
            "crossway.toml:4: guardrails.a.banned_phrases[1]: empty",
            "crossway.toml:4: warning: guardrails.a.banned_phrases[2]: the same phrase as banned_phrases[0]",
            "crossway.toml:4: guardrails.a.banned_phrases[3]: longer than 500 characters",
            "crossway.toml:6: guardrails.a.max_length: less than min_length",
            "crossway.toml:7: guardrails.a.apply_to[0]: unknown stage (known: request, reply)",
            "crossway.toml:8: guardrails.b.disclaimer: missing: require_disclaimer is true",
            "crossway.toml:10: guardrails.b.min_length: more than 10000: so much of every stream would be held back",
            "crossway.toml:11: warning: guardrails.c: it says nothing: add banned_phrases, a length or a disclaimer",
            "crossway.toml:12: guardrails.D d: not a name: 1 to 63 lower-case letters, digits, dots, dashes or underscores",
            "crossway.toml:13: guardrails.D d.max_length: zero: nothing could be said",
            "crossway.toml:14: guardrails.D d.baned_phrases: unknown setting (did you mean banned_phrases?)",
            "crossway.toml:16: warning: guardrails.e.disclaimer: not used: require_disclaimer is not true",
            "crossway.toml:17: guardrails.e.apply_to: empty (leave it out for replies, or write enabled = false)",
            "crossway.toml:19: guardrails.f.require_disclaimer: a disclaimer is for replies, and apply_to leaves them out",
            "crossway.toml:23: guardrails.g.banned_phrases: expected a list in brackets, found a string",
            "crossway.toml:24: guardrails.g.min_length: expected a whole number that is not negative, found a negative number",
        ],
    );
    check(
        &format!("{GOOD}[guardrails.z]\nmin_length = 50\n[guardrails.b]\nmax_length = 40\n"),
        &[
            "crossway.toml:3: guardrails.z: no text is allowed: guardrails.z wants at least 50 characters, guardrails.b at \
             most 40",
        ],
    );
}

#[test]
fn prompts() {
    check(
        &format!("{GOOD}[prompts.a]\n[prompts.b]\ntext = \" \"\n[prompts.c]\ntext = 1\n[prompts.d]\ntxet = \"x\"\n"),
        &[
            "crossway.toml:3: prompts.a.text: missing",
            "crossway.toml:5: prompts.b.text: empty",
            "crossway.toml:7: prompts.c.text: expected a string in quotes, found a whole number",
            "crossway.toml:8: prompts.d.text: missing",
            "crossway.toml:9: prompts.d.txet: unknown setting (did you mean text?)",
        ],
    );
}

#[test]
fn fallbacks() {
    let text = format!(
        "{GOOD}[[fallbacks]]\nmodel = \"gpt-4o\"\nfallbacks = [\"gpt-4o\", \"gtp-4.1\", \"o3\", \"o3\"]\n\
         on = [\"tiemout\", \"429\"]\n[[fallbacks]]\nmodel = \"nothing-like-it\"\n[[fallbacks]]\nmodel = \"gpt-4o\"\n\
         fallbacks = [\"o3\"]\n"
    );
    check(
        &text,
        &[
            "crossway.toml:5: fallbacks[0].fallbacks[0]: a model cannot be its own fallback",
            "crossway.toml:5: fallbacks[0].fallbacks[1]: no provider serves this model (did you mean gpt-4.1?)",
            "crossway.toml:5: fallbacks[0].fallbacks[3]: the same model twice",
            "crossway.toml:6: fallbacks[0].on[0]: unknown failure (did you mean timeout?)",
            "crossway.toml:7: fallbacks[1].fallbacks: missing: name at least one model",
            "crossway.toml:8: fallbacks[1].model: no provider serves this model",
            "crossway.toml:10: fallbacks[2].model: the model has a fallback policy already",
        ],
    );
    let cycle = format!(
        "{GOOD}[[fallbacks]]\nmodel = \"o3\"\nfallbacks = [\"gpt-5\"]\n[[fallbacks]]\nmodel = \"gpt-5\"\n\
         fallbacks = [\"o3\"]\n"
    );
    check(&cycle, &[]);
}

#[test]
fn a_fault_is_reported_once() {
    let text = "[providers.a]\nkind = \"opena\"\n[[models]]\nslug = \"m\"\nprovider = \"a\"\n[[fallbacks]]\n\
                model = \"m\"\nfallbacks = [\"m\"]\n[environment]\nbaseline_model = \"m\"\n";
    check(text, &["crossway.toml:2: providers.a.kind: unknown vendor (did you mean openai?)"]);
}

#[test]
fn variables_in_strings() {
    let text = "[providers.openai]\napi_key = \"${NO_SUCH}\"\nbase_url = \"https://${NO_HOST}/v1\"\n";
    check(
        text,
        &[
            "crossway.toml:2: providers.openai.api_key: environment variable NO_SUCH is not set",
            "crossway.toml:3: providers.openai.base_url: environment variable NO_HOST is not set",
        ],
    );
}

#[test]
fn syntax() {
    let problems = faults("listen = \n[providers.openai\napi_key = sk-canary-4711\n");
    assert!(problems.len() >= 2, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.message.starts_with("not TOML: ")));
    assert_eq!(problems.first().and_then(|problem| problem.line), Some(1));
    assert!(!format!("{problems:?}").contains("canary"));
}

#[test]
fn three_hundred_faults_are_three_hundred_problems() {
    let mut text = String::from(GOOD);
    for index in 0..300 {
        writeln!(text, "[providers.p{index}]\nkind = \"vllm\"\ndefault_model = \"m\"\ntimeout_ms = \"{index}\"")
            .unwrap();
    }
    let problems = faults(&text);
    assert_eq!(problems.len(), 300);
    for (index, problem) in problems.iter().enumerate() {
        assert_eq!((problem.line, problem.severity), (Some(6 + 4 * index), Severity::Error));
        assert_eq!(problem.path, format!("providers.p{index}.timeout_ms"));
    }
}

#[test]
fn a_fault_names_what_somebody_wrote() {
    let env = |name: &str| match name {
        "OPENAI_API_KEY" => Some("k".to_owned()),
        "CROSSWAY_OPENAI_BASE_URL" => Some("nowhere".to_owned()),
        _ => None,
    };
    let lines = |file: &str, text: &str, env: &dyn Fn(&str) -> Option<String>| -> Vec<String> {
        load_text(file, text, env, false).unwrap_err().iter().map(ToString::to_string).collect()
    };
    const HINT: &str = "not a URL (write it like https://api.example.com/v1)";
    assert_eq!(lines("crossway.toml", "", &env), [format!("environment: CROSSWAY_OPENAI_BASE_URL: {HINT}")]);
    let text = "[openAIConfig]\napiKey = \"k\"\nmodel = \"gpt-4\"\nendpoint = \"api.openai.com\"\n";
    assert_eq!(lines("Config.toml", text, &|_| None), [format!("Config.toml:4: openAIConfig.endpoint: {HINT}")]);
}

#[test]
fn ballerina_faults() {
    let text = "[openAIConfig]\napikey = \"k\"\nmodel = 4\n[geminConfig]\napiKey = \"k\"\n[defaultLoggingConfig]\n\
                enableDatadog = true\n";
    let problems = load_text("Config.toml", text, &|_| None, false).unwrap_err();
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "Config.toml:2: openAIConfig.apikey: unknown setting (did you mean apiKey?)",
            "Config.toml:3: openAIConfig.model: expected a string in quotes, found a whole number",
            "Config.toml:6: defaultLoggingConfig.datadogEndpoint: not an http or https URL",
            "Config.toml:7: warning: defaultLoggingConfig.enableDatadog: log shipping is not available yet: logs go to \
             standard error",
            "Config.toml:4: geminConfig: unknown setting (did you mean geminiConfig?)",
        ]
    );
}

#[test]
fn secrets_are_never_shown() {
    let good = "admin_token = \"${CANARY}\"\nmaster_key = \"${CANARY}\"\n[providers.openai]\nheaders = { x-k = \
                \"${CANARY}\" }\ncredentials = [{ value = \"${CANARY}\" }]\n";
    let env = |name: &str| (name == "CANARY").then(|| CANARY.to_owned());
    let loaded = load_text("crossway.toml", good, &env, false).unwrap();
    assert!(!format!("{loaded:?}").contains("canary"));
    let spec = policy::load::parse("crossway.toml", good, &env);
    assert!(!format!("{spec:?}").contains("canary"));

    // Secrets where they do not belong.
    for field in [
        "timeout_ms = \"${CANARY}\"",
        "force_default_model = \"${CANARY}\"",
        "base_url = \"https://u:${CANARY}@example.com\"",
        "base_url = \"${CANARY}\"",
        "base_url = \"https://example.com?key=${CANARY}\"",
        "headers = \"${CANARY}\"",
        "headers = { x-k = \"a\\r\\n${CANARY}\" }",
        "api_key = \"${CANARY} \\u0007\"",
        "api_key = [\"${CANARY}\"]",
        "credentials = \"${CANARY}\"",
        "credentials = [\"${CANARY}\"]",
        "credentials = [{ value = 1, weight = \"${CANARY}\" }]",
        "kind = \"${CANARY}\"",
        "default_model = \"${CANARY}\"",
    ] {
        let text = format!("[providers.openai]\n{field}\n");
        let problems = load_text("crossway.toml", &text, &env, false).unwrap_err();
        assert!(!problems.is_empty());
        let shown = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(!shown.contains("canary") && !format!("{problems:?}").contains("canary"), "{field}: {shown}");
    }
}
