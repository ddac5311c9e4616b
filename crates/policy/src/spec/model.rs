//! A model of the operator's own, or changes to one of the catalogue: `[[models]]`.

use ir::money::Bucket;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::literal::Literal;

/// A model served by one provider. Fields that are left out come from the catalogue when it knows the model.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSpec {
    /// Its name with us.
    pub slug: Option<String>,
    /// The provider that serves it.
    pub provider: Option<String>,
    /// What the provider calls it; the slug by default.
    pub upstream_name: Option<String>,
    /// What it is asked for, such as `chat` or `embedding`; the catalogue's, else `chat`.
    pub mode: Option<String>,
    /// US dollars per million input tokens.
    pub input_price: Option<Literal>,
    /// US dollars per million output tokens.
    pub output_price: Option<Literal>,
    /// US dollars per million input tokens that the provider read from its cache; the input price by default.
    pub cached_input_price: Option<Literal>,
    /// US dollars per million input tokens that the provider wrote to its cache; the input price by default.
    pub cache_write_price: Option<Literal>,
    /// The same for an hour; the price of other writes by default.
    pub cache_write_1h_price: Option<Literal>,
    /// US dollars per million output tokens of reasoning; the output price by default.
    pub reasoning_price: Option<Literal>,
    /// US dollars per million input tokens of audio; the input price by default.
    pub audio_input_price: Option<Literal>,
    /// US dollars per million output tokens of audio; the output price by default.
    pub audio_output_price: Option<Literal>,
    /// US dollars per million input tokens of images; the input price by default.
    pub image_input_price: Option<Literal>,
    /// US dollars per million output tokens of images; the output price by default.
    pub image_output_price: Option<Literal>,
    /// US dollars per million characters of speech.
    pub character_price: Option<Literal>,
    /// US dollars per image that is made.
    pub price_per_image: Option<Literal>,
    /// US dollars per second of audio.
    pub price_per_audio_second: Option<Literal>,
    /// US dollars per web search that the provider runs.
    pub price_per_search: Option<Literal>,
    /// US dollars per call, where calls are billed.
    pub price_per_request: Option<Literal>,
    /// Prices of long inputs and of service tiers. Written ones replace all that are known.
    pub price_rows: Vec<PriceRowSpec>,
    /// Input and output tokens together.
    pub context_window: Option<u64>,
    /// The most it can write.
    pub max_output_tokens: Option<u64>,
    /// `vision`, `tools`, `json_schema`, `reasoning`, `audio`, `pdf`, …
    pub capabilities: Option<Vec<String>>,
    /// 0 to 100.
    pub quality: Option<u32>,
    /// Whether requests may use it; true by default.
    pub enabled: Option<bool>,
    /// Other names for it.
    pub aliases: Vec<String>,
}

/// Prices that apply to some requests instead of the usual ones: `[[models.price_rows]]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PriceRowSpec {
    /// `flex`, `priority` or `batch`; left out for ordinary requests.
    pub service_tier: Option<String>,
    /// For requests with more input tokens than this.
    pub above_input_tokens: Option<u64>,
    /// US dollars per million input tokens.
    pub input_price: Option<Literal>,
    /// US dollars per million output tokens.
    pub output_price: Option<Literal>,
    /// US dollars per million input tokens that the provider read from its cache.
    pub cached_input_price: Option<Literal>,
    /// US dollars per million input tokens that the provider wrote to its cache.
    pub cache_write_price: Option<Literal>,
    /// The same for an hour.
    pub cache_write_1h_price: Option<Literal>,
    /// US dollars per million output tokens of reasoning.
    pub reasoning_price: Option<Literal>,
}

/// A price as it is written: the field, its bucket, the text.
pub type WrittenPrice<'a> = (&'static str, Bucket, Option<&'a Literal>);

impl ModelSpec {
    /// Returns the fields that price something.
    pub fn prices(&self) -> [WrittenPrice<'_>; 15] {
        [
            ("input_price", Bucket::Input, self.input_price.as_ref()),
            ("output_price", Bucket::Output, self.output_price.as_ref()),
            ("cached_input_price", Bucket::CachedInput, self.cached_input_price.as_ref()),
            ("cache_write_price", Bucket::CacheWrite, self.cache_write_price.as_ref()),
            ("cache_write_1h_price", Bucket::CacheWrite1h, self.cache_write_1h_price.as_ref()),
            ("reasoning_price", Bucket::Reasoning, self.reasoning_price.as_ref()),
            ("audio_input_price", Bucket::AudioInput, self.audio_input_price.as_ref()),
            ("audio_output_price", Bucket::AudioOutput, self.audio_output_price.as_ref()),
            ("image_input_price", Bucket::ImageInput, self.image_input_price.as_ref()),
            ("image_output_price", Bucket::ImageOutput, self.image_output_price.as_ref()),
            ("character_price", Bucket::Character, self.character_price.as_ref()),
            ("price_per_image", Bucket::Image, self.price_per_image.as_ref()),
            ("price_per_audio_second", Bucket::AudioSecond, self.price_per_audio_second.as_ref()),
            ("price_per_search", Bucket::Search, self.price_per_search.as_ref()),
            ("price_per_request", Bucket::Request, self.price_per_request.as_ref()),
        ]
    }
}

impl PriceRowSpec {
    /// Returns the fields that price something.
    pub fn prices(&self) -> [WrittenPrice<'_>; 6] {
        [
            ("input_price", Bucket::Input, self.input_price.as_ref()),
            ("output_price", Bucket::Output, self.output_price.as_ref()),
            ("cached_input_price", Bucket::CachedInput, self.cached_input_price.as_ref()),
            ("cache_write_price", Bucket::CacheWrite, self.cache_write_price.as_ref()),
            ("cache_write_1h_price", Bucket::CacheWrite1h, self.cache_write_1h_price.as_ref()),
            ("reasoning_price", Bucket::Reasoning, self.reasoning_price.as_ref()),
        ]
    }
}
