//! Which vendor is called what by the sources.

/// A vendor of `data/providers` and its names in the sources.
pub struct Vendor {
    /// Its kind with us.
    pub kind: &'static str,
    /// Whether it sells models of its own making: what it says of them counts before what others say.
    pub maker: bool,
    /// Whether it only passes others' models on: then only the ones that we rank are listed.
    pub reseller: bool,
    /// `litellm_provider`; keys carry the first one as a prefix, or none.
    pub litellm: &'static [&'static str],
    /// The provider's id in genai-prices.
    pub genai: &'static str,
    /// The provider's id in models.dev.
    pub models_dev: &'static str,
}

const fn maker(
    kind: &'static str,
    litellm: &'static [&'static str],
    genai: &'static str,
    models_dev: &'static str,
) -> Vendor {
    Vendor { kind, maker: true, reseller: false, litellm, genai, models_dev }
}

const fn host(
    kind: &'static str,
    litellm: &'static [&'static str],
    genai: &'static str,
    models_dev: &'static str,
) -> Vendor {
    Vendor { kind, maker: false, reseller: false, litellm, genai, models_dev }
}

const fn reseller(
    kind: &'static str,
    litellm: &'static [&'static str],
    genai: &'static str,
    models_dev: &'static str,
) -> Vendor {
    Vendor { kind, maker: false, reseller: true, litellm, genai, models_dev }
}

/// Every vendor that the sources know, makers first: the first one that offers a model says what it is.
pub const VENDORS: [Vendor; 26] = [
    maker("openai", &["openai", "text-completion-openai"], "openai", "openai"),
    maker("anthropic", &["anthropic"], "anthropic", "anthropic"),
    maker("gemini", &["gemini"], "google", "google"),
    maker("mistral", &["mistral"], "mistral", "mistral"),
    maker("cohere", &["cohere", "cohere_chat"], "cohere", "cohere"),
    maker("perplexity", &["perplexity"], "perplexity", "perplexity"),
    maker("xai", &["xai"], "x-ai", "xai"),
    maker("deepseek", &["deepseek"], "deepseek", "deepseek"),
    maker("moonshot", &["moonshot"], "moonshotai", "moonshotai"),
    maker("zai", &["zai"], "zai", "zai"),
    maker("alibaba", &["dashscope"], "", "alibaba"),
    host("groq", &["groq"], "groq", "groq"),
    host("cerebras", &["cerebras"], "cerebras", "cerebras"),
    host("sambanova", &["sambanova"], "", ""),
    host("together", &["together_ai"], "together", "togetherai"),
    host("fireworks", &["fireworks_ai"], "fireworks", "fireworks-ai"),
    host("deepinfra", &["deepinfra"], "", "deepinfra"),
    host("novita", &["novita"], "novita", "novita-ai"),
    host("baseten", &["baseten"], "baseten", "baseten"),
    host("hyperbolic", &["hyperbolic"], "", ""),
    host("cloudflare", &["cloudflare"], "cloudflare", "cloudflare-workers-ai"),
    host("nvidia", &["nvidia_nim"], "", "nvidia"),
    host("huggingface", &["huggingface"], "", "huggingface"),
    reseller("azure", &["azure"], "azure", "azure"),
    reseller("openrouter", &["openrouter"], "openrouter", "openrouter"),
    reseller("vercel", &["vercel_ai_gateway"], "", "vercel"),
];
