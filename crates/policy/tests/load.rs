//! Whole configurations: what a file and an environment compile to.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ir::guard::{Reason, Subject, Watch};
use ir::money::{Bucket, PicoUsd};
use policy::guard::reply::ReplyWatch;
use policy::load::{Loaded, load, load_text};
use policy::problem::Problem;
use policy::snapshot::{Model, Provider, ProviderIndex};
use policy::spec::settings::Anonymous;

type Env = HashMap<&'static str, &'static str>;

fn run(name: &str, text: &str, env: &[(&'static str, &'static str)]) -> Result<Loaded, Vec<Problem>> {
    let env: Env = env.iter().copied().collect();
    load_text(name, text, &|variable| env.get(variable).map(|value| (*value).to_owned()), false)
}

fn good(name: &str, text: &str, env: &[(&'static str, &'static str)]) -> Loaded {
    run(name, text, env).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

fn provider<'a>(loaded: &'a Loaded, name: &str) -> &'a Provider {
    loaded.snapshot.providers.iter().find(|provider| &*provider.name == name).unwrap()
}

fn model<'a>(loaded: &'a Loaded, name: &str) -> &'a Model {
    let found = loaded.snapshot.resolve(name);
    loaded.snapshot.model(*found.first().unwrap_or_else(|| panic!("{name} is unknown"))).unwrap()
}

const FULL: &str = include_str!("../golden/full/crossway.toml");

#[test]
fn a_full_file_compiles() {
    let loaded = good("crossway.toml", FULL, &[("TEAM_KEY", "sk-team"), ("OTHER_KEY", "sk-other")]);
    let settings = &loaded.settings;
    assert_eq!(settings.listen.to_string(), "0.0.0.0:9090");
    assert_eq!(settings.anonymous, Anonymous::All);
    assert_eq!(settings.grace, Duration::from_secs(5));
    assert_eq!(settings.request_body_limit_bytes, 8 << 20);
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.providers_configured, 3);

    let names: Vec<&str> = loaded.snapshot.providers.iter().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["openai", "local", "anthropic"], "in the order of the file");
    let openai = provider(&loaded, "openai");
    assert_eq!(openai.base_url.as_str(), "https://proxy.example/v1");
    let weights: Vec<(&str, u32)> =
        openai.credentials.iter().map(|credential| (credential.value.expose(), credential.weight)).collect();
    assert_eq!(weights, [("sk-team", 3), ("sk-other", 1)]);
    assert_eq!(openai.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["openai-project"]);
    assert_eq!(openai.timeouts.idle, Duration::from_millis(30_000));
    let default = loaded.snapshot.model(openai.default_model.unwrap()).unwrap();
    assert_eq!((&*default.slug, default.provider), ("gpt-4o-mini", ProviderIndex(0)));
}

#[test]
fn a_full_file_has_its_guards() {
    let loaded = good("crossway.toml", FULL, &[("TEAM_KEY", "k"), ("OTHER_KEY", "k")]);
    let environment = &loaded.snapshot.environment;
    let house = "You work for Example Corp.\n\nAnswer in the language of the question.";
    assert_eq!(environment.bound.prompt.as_deref(), Some(house), "in the order of their names");

    let requests = environment.bound.guards.requests.as_ref().unwrap();
    let asked = |text: &str| requests.watch().push(text, true, true).map_err(|blocked| (blocked.guard, blocked.reason));
    assert_eq!(asked("Guaranteed returns: x"), Ok(()), "only for replies");
    assert_eq!(asked("about PROJECT nightjar"), Err(("tone".into(), Reason::Phrase(1))));

    let replies = environment.bound.guards.replies.as_ref().unwrap();
    let answered = |text: &str| {
        let mut watch = ReplyWatch::new(replies);
        watch.push(text).and_then(|_| watch.end()).map_err(|blocked| (blocked.guard, blocked.reason))
    };
    assert_eq!(answered("Fine: x"), Ok(Some("\n\nThis is not financial advice.".to_owned())));
    assert_eq!(answered("Guaranteed returns"), Err(("advice".into(), Reason::Phrase(0))));
    assert_eq!(answered("internal USE only"), Err(("tone".into(), Reason::Phrase(0))));
    assert_eq!(answered("x"), Err(("advice".into(), Reason::TooShort(2))));
    let most = replies.lengths.most.as_ref().map(|most| (most.characters, &*most.guard));
    assert_eq!(most, Some((20_000, "tone")), "the stricter one");
}

#[test]
fn without_guardrails_nothing_is_guarded() {
    let off = "[guardrails.a]\nbanned_phrases = [\"x\"]\nenabled = false\n[prompts.p]\ntext = \"x\"\nenabled = false\n";
    for text in ["", off] {
        let environment = good("crossway.toml", text, &[]).snapshot.environment;
        assert!(environment.bound.guards.requests.is_none() && environment.bound.guards.replies.is_none());
        assert_eq!(environment.bound.prompt, None);
    }
}

#[test]
fn a_full_file_has_its_models() {
    let loaded = good("crossway.toml", FULL, &[("TEAM_KEY", "k"), ("OTHER_KEY", "k")]);
    let custom = model(&loaded, "house");
    assert_eq!((&*custom.slug, &*custom.upstream_name), ("house-model", "qwen/house:7b"));
    let prices = custom.prices.as_ref().unwrap();
    let price = |bucket| prices.base().get(bucket).unwrap();
    assert_eq!((price(Bucket::Input), price(Bucket::Output)), (PicoUsd(123_457), PicoUsd(2_000_000)));
    assert_eq!(price(Bucket::CachedInput), PicoUsd(10_000));
    assert_eq!(model(&loaded, "local/qwen/house:7b").slug, custom.slug);
    assert_eq!(model(&loaded, "LOCAL/House-Model").slug, custom.slug);
    assert!(!model(&loaded, "gpt-4").enabled, "switched off by an entry");
    assert_eq!(&*model(&loaded, "claude-haiku-4.5").slug, "claude-haiku-4-5");
    assert_eq!(&*model(&loaded, "GPT-4-1").slug, "gpt-4.1");

    let fallback = loaded.snapshot.fallbacks.get("gpt-4o").unwrap();
    let slugs: Vec<&str> = fallback.models.iter().map(|index| &*loaded.snapshot.model(*index).unwrap().slug).collect();
    assert_eq!(slugs, ["claude-haiku-4-5", "house-model"]);
    assert!(fallback.on.rate_limited && fallback.on.context_length && !fallback.on.auth);
    let baseline = loaded.snapshot.model(loaded.snapshot.baseline.unwrap()).unwrap();
    assert_eq!(&*baseline.slug, "gpt-4o");
    assert_eq!(&*loaded.snapshot.environment.meta_key, "computeboard");
    assert_eq!(loaded.snapshot.provider_named("VLLM"), Some(ProviderIndex(1)));
    assert_eq!(loaded.snapshot.provider_named("local"), Some(ProviderIndex(1)));
}

#[test]
fn the_ballerina_file_compiles() {
    let text = include_str!("../golden/ballerina/Config.toml");
    let loaded = good("Config.toml", text, &[]);
    assert_eq!(loaded.settings.anonymous, Anonymous::Loopback);
    let names: Vec<&str> = loaded.snapshot.providers.iter().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["openai", "anthropic", "gemini", "ollama"], "an empty key means not configured");
    let sent = |name: &str| {
        let provider = provider(&loaded, name);
        assert!(provider.force_default_model);
        let model = loaded.snapshot.model(provider.default_model.unwrap()).unwrap();
        (provider.base_url.to_string(), model.upstream_name.to_string())
    };
    assert_eq!(sent("openai"), ("https://api.openai.com/v1".into(), "gpt-4o".into()));
    assert_eq!(sent("anthropic"), ("https://api.anthropic.com/v1".into(), "claude-3-5-sonnet-20241022".into()));
    let gemini = "https://generativelanguage.googleapis.com/v1beta";
    assert_eq!(sent("gemini"), (gemini.into(), "gemini-pro".into()));
    assert_eq!(sent("ollama"), ("http://localhost:11434/".into(), "llama3.2".into()));
}

#[test]
fn a_variable_fills_an_empty_key_of_the_ballerina_file() {
    let text = include_str!("../golden/ballerina/Config.toml");
    let loaded = good("Config.toml", text, &[("MISTRAL_API_KEY", "k")]);
    let mistral = provider(&loaded, "mistral");
    assert_eq!(mistral.base_url.as_str(), "https://api.mistral.ai/v1");
    assert!(mistral.force_default_model);
}

#[test]
fn log_shipping_is_a_warning() {
    let text = "[openAIConfig]\napiKey = \"k\"\nmodel = \"my-own\"\nendpoint = \"http://127.0.0.1:9/v1\"\n\
                [defaultLoggingConfig]\nenableSplunk = true\nsplunkEndpoint = \"http://localhost:1\"\n";
    let loaded = good("other.toml", text, &[]);
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expect = "other.toml:6: warning: defaultLoggingConfig.enableSplunk: log shipping is not available yet: logs go \
                  to standard error";
    assert_eq!(warnings, [expect]);
    assert!(model(&loaded, "my-own").prices.is_none());
}

#[test]
fn variables_make_providers() {
    let env = [("OPENAI_API_KEY", "k"), ("GROQ_API_KEY", "k"), ("COHERE_API_KEY", ""), ("OLLAMA_HOST", "gpu:9")];
    let loaded = good("crossway.toml", "", &env);
    let names: Vec<&str> = loaded.snapshot.providers.iter().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["openai", "ollama", "groq"]);
    assert_eq!(provider(&loaded, "ollama").base_url.as_str(), "http://gpu:9/");
}

#[test]
fn variables_override_the_file() {
    let text = "listen = \"127.0.0.1:1\"\n[providers.openai]\napi_key = \"file\"\n[providers.second]\n\
                kind = \"openai\"\napi_key = \"second\"\n";
    let env = [
        ("CROSSWAY_LISTEN", "127.0.0.1:2"),
        ("OPENAI_API_KEY", "variable\n"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"),
        ("CROSSWAY_SECOND_BASE_URL", "http://127.0.0.1:7/v1"),
    ];
    let loaded = good("crossway.toml", text, &env);
    assert_eq!(loaded.settings.listen.port(), 2);
    let first = provider(&loaded, "openai");
    assert_eq!(first.credentials.first().map(|credential| credential.value.expose()), Some("variable"));
    assert_eq!(first.base_url.as_str(), "https://api.openai.com/v1", "the SDK's variable is not ours");
    let second = provider(&loaded, "second");
    assert_eq!(second.credentials.first().map(|credential| credential.value.expose()), Some("second"));
    assert_eq!(second.base_url.as_str(), "http://127.0.0.1:7/v1");
}

#[test]
fn azure_needs_an_address() {
    let loaded = good("crossway.toml", "", &[("AZURE_OPENAI_API_KEY", "k"), ("OPENAI_API_KEY", "k")]);
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].hint.as_deref(), Some("set CROSSWAY_AZURE_BASE_URL"));
    let env = [("AZURE_OPENAI_API_KEY", "k"), ("CROSSWAY_AZURE_BASE_URL", "https://r.openai.azure.com/openai/v1")];
    let text = "[[models]]\nslug = \"gpt-4o\"\nprovider = \"azure\"\nupstream_name = \"our-deployment\"\n";
    let loaded = good("crossway.toml", text, &env);
    let model = model(&loaded, "gpt-4o");
    assert_eq!(&*model.upstream_name, "our-deployment");
    assert_eq!(
        model.prices.as_ref().unwrap().base().get(Bucket::Input),
        Some(PicoUsd(2_500_000)),
        "described by the catalogue"
    );
    assert_eq!(loaded.snapshot.models.len(), 1, "only what is declared is served");
}

#[test]
fn the_demo_stands_in_for_nothing() {
    let loaded = good("crossway.toml", "", &[]);
    assert_eq!((loaded.providers_configured, loaded.warnings.len()), (0, 1));
    assert_eq!(&*model(&loaded, "demo-1").upstream_name, "demo-1");
    assert_eq!(provider(&loaded, "demo").base_url.as_str(), "demo:");
    let with = load_text("c.toml", "[providers.openai]\napi_key = \"k\"\n", &|_| None, true).unwrap();
    assert_eq!((with.providers_configured, with.warnings.len(), with.snapshot.providers.len()), (1, 0, 2));
}

#[test]
fn switched_off_providers_leave_no_trace() {
    let text = "[providers.openai]\nenabled = false\napi_key = \"k\"\n[providers.anthropic]\napi_key = \"k\"\n\
                [[fallbacks]]\nmodel = \"claude-opus-5\"\nfallbacks = [\"gpt-4o\", \"claude-sonnet-5\"]\n";
    let loaded = good("crossway.toml", text, &[]);
    assert!(loaded.snapshot.resolve("gpt-4o").is_empty());
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.snapshot.fallbacks["claude-opus-5"].models.len(), 1);
    let default = provider(&loaded, "anthropic").default_model.unwrap();
    assert_eq!(&*loaded.snapshot.model(default).unwrap().slug, "claude-haiku-4-5");
}

#[test]
fn generic_servers_take_any_default_model() {
    let text = "[providers.gpu]\nkind = \"openai-compatible\"\nbase_url = \"http://10.0.0.7:8000/v1\"\n\
                default_model = \"Our/Model:7b\"\n";
    let loaded = good("crossway.toml", text, &[]);
    assert_eq!(&*model(&loaded, "our/model:7b").upstream_name, "Our/Model:7b");
    assert!(provider(&loaded, "gpu").credentials.is_empty());
}

#[test]
fn one_slug_may_have_several_providers() {
    let loaded = good("crossway.toml", "", &[("GROQ_API_KEY", "k"), ("CEREBRAS_API_KEY", "k")]);
    assert_eq!(loaded.snapshot.resolve("gpt-oss-120b").len(), 2);
    assert_eq!(loaded.snapshot.resolve("groq/gpt-oss-120b").len(), 1);
    assert_eq!(loaded.snapshot.resolve("groq/openai/gpt-oss-120b").len(), 1);
}

#[test]
fn names_that_differ_in_dots_only_stay_apart() {
    let text = "[providers.gpu]\nkind = \"vllm\"\n[[models]]\nslug = \"m-1.5\"\nprovider = \"gpu\"\n\
                [providers.cpu]\nkind = \"vllm\"\n[[models]]\nslug = \"m-1-5\"\nprovider = \"cpu\"\n";
    let loaded = good("crossway.toml", text, &[]);
    assert_eq!(&*model(&loaded, "m-1.5").slug, "m-1.5");
    assert_eq!(&*model(&loaded, "m-1-5").slug, "m-1-5");
    assert_eq!(loaded.snapshot.resolve("m-1-5").len(), 1);
}

fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("crossway-policy-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
    folder
}

#[test]
fn files_are_found() {
    let own = "[providers.openai]\napi_key = \"k\"\n";
    let both = folder("both", &[("crossway.toml", own), ("Config.toml", "[openAIConfig]\napiKey = \"x\"\n")]);
    let loaded = load(None, &both, &|_| None, false).unwrap();
    assert_eq!(loaded.sources, [both.join("crossway.toml")]);
    assert_eq!(loaded.warnings.len(), 1);
    let one = load(Some("Config.toml".as_ref()), &both, &|_| None, false).unwrap();
    assert_eq!(one.settings.anonymous, Anonymous::Loopback);
    let problems = load(Some("nowhere.toml".as_ref()), &both, &|_| None, false).unwrap_err();
    assert_eq!(problems.len(), 1);
    fs::remove_dir_all(&both).unwrap();
    let none = folder("none", &[]);
    assert_eq!(load(None, &none, &|_| None, false).unwrap().sources, Vec::<PathBuf>::new());
    fs::remove_dir_all(&none).unwrap();
}

#[test]
fn what_stands_where_the_file_is_expected_is_not_passed_over() {
    let check = |name: &str, make: &dyn Fn(&std::path::Path), expect: &str| {
        let folder = folder(name, &[]);
        make(&folder.join("crossway.toml"));
        let problems = load(None, &folder, &|_| None, false).unwrap_err();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expect]);
    };
    check("folder", &|path| fs::create_dir(path).unwrap(), "crossway.toml: cannot be read: it is a folder");
    #[cfg(unix)]
    check(
        "link",
        &|path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
        "crossway.toml: cannot be read: there is no such file or folder",
    );
}

#[test]
fn the_example_of_the_guardrails_compiles() {
    let text = include_str!("../../../docs/guardrails.md");
    let example = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let loaded = good("crossway.toml", example, &[("OPENAI_API_KEY", "k")]);
    assert_eq!(loaded.warnings, []);
    let environment = &loaded.snapshot.environment;
    assert!(
        environment.bound.prompt.is_some()
            && environment.bound.guards.requests.is_some()
            && environment.bound.guards.replies.is_some()
    );
    let blocked =
        environment.bound.guards.requests.as_ref().unwrap().watch().push("What is PROJECT NIGHTJAR?", true, true);
    let failure = blocked.unwrap_err().failure(Subject::Request);
    assert!(text.contains(&failure.message), "{}", failure.message);
}

#[test]
fn the_documented_example_compiles() {
    let text = include_str!("../../../docs/configuration.md");
    let example = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let loaded = good("crossway.toml", example, &[("OPENAI_TEAM_KEY", "k"), ("ANTHROPIC_KEY", "k")]);
    assert_eq!(loaded.warnings, []);
    assert!(loaded.providers_configured >= 3);
}

/// Returns the prices of the model `m` of a provider that knows no models.
fn prices_of(fields: &str) -> Option<std::sync::Arc<ir::money::Prices>> {
    let text = format!("[providers.gpu]\nkind = \"vllm\"\n[[models]]\nslug = \"m\"\nprovider = \"gpu\"\n{fields}");
    model(&good("crossway.toml", &text, &[]), "m").prices.clone()
}

#[test]
fn every_bucket_can_be_priced() {
    let fields = "input_price = 1\noutput_price = 2\ncached_input_price = 3\ncache_write_price = 4\n\
                  cache_write_1h_price = 5\nreasoning_price = 6\naudio_input_price = 7\naudio_output_price = 8\n\
                  image_input_price = 9\nimage_output_price = 10\ncharacter_price = 11\n\
                  price_per_image = 0.04\nprice_per_audio_second = \"0.0001\"\nprice_per_search = 0.01\n\
                  price_per_request = 1e-3\n";
    let base = prices_of(fields).unwrap().base();
    let found: Vec<String> = Bucket::ALL.iter().map(|bucket| bucket.write(base.get(*bucket).unwrap())).collect();
    let expect = ["1", "3", "4", "5", "2", "6", "7", "8", "9", "10", "0.04", "0.0001", "11", "0.01", "0.001"];
    assert_eq!(found, expect);
    assert!(prices_of("").is_none(), "unknown, not free");
    let free = prices_of("input_price = 0\noutput_price = 0\n").unwrap();
    assert_eq!(free.base().get(Bucket::Reasoning), Some(PicoUsd(0)));
}

#[test]
fn rows_price_long_inputs_and_service_tiers() {
    use ir::money::ServiceTier::{Flex, Priority, Standard};
    let fields = "input_price = 1\noutput_price = 2\n[[models.price_rows]]\nabove_input_tokens = 200_000\n\
                  input_price = 2.5\n[[models.price_rows]]\nservice_tier = \"flex\"\ninput_price = 0.123456\n\
                  output_price = 1\n";
    let prices = prices_of(fields).unwrap();
    let input = |tokens, tier| prices.rates(tokens, tier).unwrap().get(Bucket::Input).unwrap().0;
    assert_eq!(input(200_000, Standard), 1_000_000);
    assert_eq!(input(200_001, Standard), 2_500_000);
    assert_eq!(input(200_001, Flex), 123_456);
    assert_eq!(input(1, Priority), 1_000_000);
    let output = prices.rates(200_001, Standard).unwrap().get(Bucket::Output);
    assert_eq!(output, Some(PicoUsd(2_000_000)), "what a row leaves out costs as usual");
}

#[test]
fn a_new_price_replaces_what_belongs_to_the_old_list() {
    let anthropic = |fields: &str| {
        let text = format!(
            "[providers.anthropic]\napi_key = \"k\"\n[[models]]\nslug = \"claude-haiku-4-5\"\nprovider = \"anthropic\"\n\
             {fields}"
        );
        model(&good("crossway.toml", &text, &[]), "claude-haiku-4-5").prices.clone().unwrap()
    };
    let price = |fields: &str, bucket| anthropic(fields).base().get(bucket).unwrap().0;
    assert_eq!(price("", Bucket::CacheWrite1h), 2_000_000);
    assert_eq!(price("input_price = 3\n", Bucket::CacheWrite1h), 3_000_000);
    assert_eq!(price("input_price = 3\n", Bucket::CachedInput), 3_000_000);
    assert_eq!(price("input_price = 3\n", Bucket::Output), 5_000_000, "the output price stays");
    assert_eq!(price("input_price = 3\n", Bucket::Search), 10_000_000_000, "and that of searches");
    assert_eq!(price("cache_write_price = 9\n", Bucket::CacheWrite), 9_000_000);
    assert_eq!(price("cache_write_price = 9\n", Bucket::CacheWrite1h), 2_000_000);
    assert!(anthropic("").rows().len() > 1);
    assert_eq!(
        anthropic("output_price = 7\n").rows().len(),
        1,
        "batches cost as usual: their rows are of the old list"
    );
    assert!(anthropic("cache_write_price = 9\n").rows().len() > 1);
}

#[test]
fn models_of_other_modes_are_known_and_not_offered() {
    let loaded = good("crossway.toml", "", &[("OPENAI_API_KEY", "k")]);
    assert!(loaded.snapshot.models.len() > 40);
    assert!(loaded.snapshot.models.iter().all(|model| model.mode == catalog::model::Mode::Chat));
    assert!(loaded.snapshot.resolve("text-embedding-3-small").is_empty());
    let text = "[providers.openai]\napi_key = \"k\"\n[[models]]\nslug = \"my-embedder\"\nprovider = \"openai\"\n\
                mode = \"embedding\"\ninput_price = 1\n";
    let loaded = good("crossway.toml", text, &[]);
    assert!(loaded.snapshot.resolve("my-embedder").is_empty());
    let warning = loaded.warnings[0].to_string();
    assert!(warning.contains("models[0].mode: no surface serves embedding models yet"), "{warning}");
}

#[test]
fn resource_files_are_checked_with_the_configuration() {
    use policy::load::resources::parse;
    use policy::load::together::load_with;

    let folder = std::env::temp_dir().join(format!("crossway-together-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("crossway.toml"), "[providers.openai]\napi_key = \"sk-a\"\n").unwrap();
    let check = |text: &str| {
        let resources = parse("r.yaml", text, &|_| None);
        match load_with(None, &folder, &|_| None, resources) {
            Ok(loaded) => (true, loaded.warnings),
            Err(problems) => (false, problems),
        }
    };
    let expect = |text: &str, good: bool, problems: &[&str]| {
        let (found, said) = check(text);
        let said: Vec<String> = said.iter().map(ToString::to_string).collect();
        assert_eq!((found, said), (good, problems.iter().map(|line| (*line).to_owned()).collect()), "{text}");
    };
    let model = "kind: model\nname: mine\nspec: {provider: openai, input_price: 1.10, output_price: 2}\n";
    expect(model, true, &[]);
    expect(
        "kind: model\nname: mine\nspec: {provider: opena}\n",
        false,
        &["r.yaml:3: models.mine.provider: no provider of this name is configured (did you mean openai?)"],
    );
    // What refers to a resource with a fault is not at fault too.
    expect(
        "kind: provider\nname: far\nspec: {kind: vllm, base_url: \"http://10.0.0.7/v1\", api_key: \"${NO_SUCH}\"}\n\
         ---\nkind: model\nname: mine\nspec: {provider: far}\n---\nkind: team\nname: t\nspec: {descripton: x}\n\
         ---\nkind: key\nname: k\nspec: {team: t}\n---\nkind: fallback\nname: mine\nspec: {fallbacks: [gpt-4o]}\n",
        false,
        &[
            "r.yaml:3: spec.api_key: environment variable NO_SUCH is not set",
            "r.yaml:11: teams.t.descripton: unknown setting (did you mean description?)",
        ],
    );
    expect(
        "\nkind: provider\nname: openai\nspec: {api_key: sk-b}\n",
        false,
        &["r.yaml:2: providers.openai: it comes from crossway.toml (change it there, or take it out of there)"],
    );
    expect(
        "kind: key\nname: k\nspec:\n  allowed_networks: [10.0.0.0/33]\n",
        false,
        &["r.yaml:4: keys.k.allowed_networks[0]: the prefix is longer than the address (it has at most 32 bits)"],
    );
    expect(
        "kind: key\nname: k\nenvironment: staging\nspec: {team: t}\n",
        true,
        &[
            "r.yaml:4: warning: keys.k.team: no file describes this team (it has to exist on the server)",
            "r.yaml:1: warning: environment: no file describes the environment staging (it has to exist on the server)",
        ],
    );
    let alert = "kind: alert\nname: a\nspec:\n  emails: [ops@example.com]\n";
    let unsent = "r.yaml:4: warning: alerts.a.emails: no email can be sent: no [smtp] is configured (write [smtp] into \
        crossway.toml, or set CROSSWAY_SMTP_HOST and CROSSWAY_SMTP_FROM)";
    expect(alert, true, &[unsent]);
    expect(&alert.replace("  emails", "  enabled: false\n  emails"), true, &[]);
    let smtp = "[smtp]\nhost = \"mail.example.com\"\nfrom = \"crossway@example.com\"\n";
    fs::write(folder.join("crossway.toml"), format!("{smtp}[providers.openai]\napi_key = \"sk-a\"\n")).unwrap();
    expect(alert, true, &[]);
    fs::remove_dir_all(&folder).unwrap();
}
