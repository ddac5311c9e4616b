//! Which of the vendors' models are listed.

use std::collections::{BTreeMap, BTreeSet};

use catalog::load::Vendors;
use catalog::model::{Mode, fold_name};
use ir::money::{Bucket, ServiceTier};
use serde_json::Value;

use super::editions::{parent, slug_of};
use super::hand::{Hand, HandModel, HandOffer};
use super::listing::Said;
use super::prices::Source;
use super::vendors::{VENDORS, Vendor};
use super::{genai, litellm, models_dev};

/// The sources.
pub struct Tables {
    /// LiteLLM's.
    pub litellm: Value,
    /// genai-prices'.
    pub genai: Value,
    /// models.dev's.
    pub models_dev: Value,
    /// The day for which dated prices and ends are read.
    pub as_of: String,
}

/// What all sources say of one model of one vendor.
pub struct Listing<'a> {
    /// The vendor's kind.
    pub vendor: &'a str,
    /// Whether the vendor makes models.
    pub maker: bool,
    /// Whether it only passes models on.
    pub reseller: bool,
    /// The vendor's name of the model.
    pub name: String,
    /// What it is asked for.
    pub mode: Mode,
    /// What we say of it.
    pub hand: Option<&'a HandOffer>,
    /// What each source says, in the order of precedence.
    pub said: Vec<(Source, Said)>,
}

impl Listing<'_> {
    /// Returns what a source says.
    pub fn of(&self, source: Source) -> Option<&Said> {
        self.said.iter().find(|(other, _)| *other == source).map(|(_, said)| said)
    }

    /// Returns the day on which the vendor ends it.
    pub fn ends(&self) -> Option<&str> {
        self.said.iter().find_map(|(_, said)| said.ends.as_deref())
    }
}

/// The listings of one model, by vendor in the order of [`VENDORS`].
pub struct Found<'a> {
    /// Our name for it.
    pub slug: String,
    /// What we say of it.
    pub hand: Option<&'a HandModel>,
    /// Who sells it.
    pub listings: Vec<Listing<'a>>,
}

/// Returns the models that are listed, by their names as they are compared.
pub fn select<'a>(tables: &Tables, hand: &'a Hand) -> BTreeMap<String, Found<'a>> {
    let ours = Ours::of(hand);
    let mut found: BTreeMap<String, Found<'a>> = BTreeMap::new();
    for model in &hand.models {
        let place = Found { slug: model.slug.clone(), hand: Some(model), listings: Vec::new() };
        found.insert(fold_name(&model.slug), place);
    }
    for vendor in &VENDORS {
        for listing in listings(vendor, tables, &ours) {
            add(&mut found, &ours, listing);
        }
    }
    for model in &hand.models {
        // Vendors that no source knows: ours and those on the operator's own machine.
        let Some(place) = found.get_mut(&fold_name(&model.slug)) else { continue };
        for offer in model.offers.iter().filter(|offer| !VENDORS.iter().any(|vendor| vendor.kind == offer.vendor)) {
            place.listings.push(own(offer));
        }
    }
    found.retain(|_, model| !model.listings.is_empty());
    found
}

/// `data/models.toml`, by name.
struct Ours<'a> {
    /// Vendor and its name in lower case.
    offers: BTreeMap<(&'a str, String), (&'a HandModel, &'a HandOffer)>,
    /// Aliases as they are compared.
    aliases: BTreeMap<String, &'a HandModel>,
}

impl<'a> Ours<'a> {
    fn of(hand: &'a Hand) -> Self {
        let mut ours = Self { offers: BTreeMap::new(), aliases: BTreeMap::new() };
        for model in &hand.models {
            ours.aliases.extend(model.aliases.iter().map(|alias| (fold_name(alias), model)));
            for offer in &model.offers {
                ours.offers.insert((&offer.vendor, offer.name.to_lowercase()), (model, offer));
            }
        }
        ours
    }
}

fn own(offer: &HandOffer) -> Listing<'_> {
    Listing {
        vendor: &offer.vendor,
        maker: false,
        reseller: false,
        name: offer.name.clone(),
        mode: Mode::Chat,
        hand: Some(offer),
        said: Vec::new(),
    }
}

/// Returns a vendor's models that are listed, in alphabetical order of its names.
fn listings<'a>(vendor: &'static Vendor, tables: &Tables, ours: &Ours<'a>) -> Vec<Listing<'a>> {
    let lists = litellm::read(vendor, &tables.litellm);
    let prices = genai::table(vendor, &tables.genai, &tables.as_of);
    let devs = models_dev::read(vendor, &tables.models_dev);
    let written = ours.offers.keys().filter(|(kind, _)| *kind == vendor.kind).map(|(_, name)| name.clone());
    let names: BTreeSet<String> = lists.keys().chain(devs.keys()).cloned().chain(written).collect();
    let mut found = Vec::new();
    for name in names {
        let said = [
            (Source::Litellm, lists.get(&name).cloned()),
            (Source::Genai, prices.said(&name)),
            (Source::ModelsDev, devs.get(&name).cloned()),
        ];
        let said: Vec<_> = said.into_iter().filter_map(|(source, said)| said.map(|said| (source, said))).collect();
        let hand = ours.offers.get(&(vendor.kind, name.clone())).copied();
        let mut spelt = [Source::Litellm, Source::ModelsDev].into_iter();
        let spelt = spelt.find_map(|source| said.iter().find(|(other, _)| *other == source));
        let own = hand.map(|(_, offer)| offer.name.clone());
        let mut listing = Listing {
            vendor: vendor.kind,
            maker: vendor.maker,
            reseller: vendor.reseller,
            name: own.or_else(|| spelt.map(|(_, said)| said.name.clone())).unwrap_or(name),
            mode: Mode::Chat,
            hand: hand.map(|(_, offer)| offer),
            said,
        };
        let Some(mode) = mode(&listing) else { continue };
        listing.mode = mode;
        let keep = hand.is_some_and(|(model, _)| model.keep);
        let ended = listing.ends().is_some_and(|day| day <= tables.as_of.as_str());
        if keep || !ended && (hand.is_some() || is_known(&listing)) {
            found.push(listing);
        }
    }
    found
}

/// Returns what a model is asked for; `None` for what is not listed at all.
fn mode(listing: &Listing<'_>) -> Option<Mode> {
    if listing.hand.is_some() {
        return Some(listing.of(Source::Litellm).and_then(|said| said.mode).unwrap_or(Mode::Chat));
    }
    if let Some(said) = listing.of(Source::Litellm) {
        // Conversations that are answered with music or film alone are none of ours.
        let outputs = listing.said.iter().map(|(_, said)| &said.output_modalities).find(|outputs| !outputs.is_empty());
        let mute = outputs.is_some_and(|outputs| !outputs.iter().any(|output| output == "text"));
        return said.mode.filter(|mode| *mode != Mode::Chat || !mute);
    }
    let said = listing.of(Source::ModelsDev)?;
    let named = |part: &str| listing.name.to_lowercase().contains(part);
    let writes = |kind: &str| said.output_modalities.iter().any(|output| output == kind);
    match () {
        () if named("embed") => Some(Mode::Embedding),
        () if named("rerank") => Some(Mode::Rerank),
        () if named("whisper") || named("transcribe") => Some(Mode::Transcription),
        () if writes("text") => Some(Mode::Chat),
        () => None,
    }
}

/// Returns whether enough is known of a model that we do not speak of ourselves: two sources name it, or LiteLLM does
/// with the price list of a maker. A model that needs an interface which we do not speak to its vendor is left out.
fn is_known(listing: &Listing<'_>) -> bool {
    let list = listing.of(Source::Litellm);
    if list.is_some_and(|said| said.responses_only) && !speaks_responses(listing.vendor) {
        return false;
    }
    let checked = list.is_some_and(|said| said.link.is_some()) && (listing.maker || listing.vendor == "azure");
    let leaving = list.is_none() && listing.said.iter().any(|(_, said)| said.deprecated);
    let priced = listing.said.iter().any(|(_, said)| match listing.mode {
        Mode::Chat => said
            .prices
            .get(&(ServiceTier::Standard, 0))
            .is_some_and(|rates| rates.get(Bucket::Input).is_some() && rates.get(Bucket::Output).is_some()),
        _ => !said.prices.is_empty(),
    });
    (checked || listing.said.len() >= 2) && !leaving && priced
}

fn speaks_responses(kind: &str) -> bool {
    Vendors::builtin().get(kind).is_some_and(|vendor| vendor.responses_path.is_some())
}

/// Puts a listing to its model. What resellers pass on is listed only for models that are there already.
fn add<'a>(found: &mut BTreeMap<String, Found<'a>>, ours: &Ours<'a>, listing: Listing<'a>) {
    let slug = slug_of(listing.vendor, &listing.name);
    let written = ours.offers.get(&(listing.vendor, listing.name.to_lowercase())).map(|(model, _)| *model);
    // A dated edition that a source lists is a model of its own, whatever it is an alias of.
    let dated = |model: &&HandModel| parent(&slug, |name| name == fold_name(&model.slug)).is_none();
    let alias = || ours.aliases.get(&fold_name(&slug)).copied().filter(dated);
    let hand = written.or_else(alias);
    let key = fold_name(hand.map_or(&slug, |model| &model.slug));
    if listing.reseller && listing.hand.is_none() {
        let there = found.get(&key).filter(|model| !model.listings.is_empty());
        let ranked = there.is_some_and(|model| model.hand.is_some_and(|hand| hand.quality.is_some()));
        if !ranked
            && (listing.vendor != "azure" || there.is_none_or(|model| model.hand.is_none() && !sold_by_maker(model)))
        {
            return;
        }
    }
    let model = found.entry(key).or_insert_with(|| Found { slug, hand: None, listings: Vec::new() });
    if model.listings.first().is_some_and(|first| first.mode != listing.mode) {
        return;
    }
    match model.listings.iter_mut().find(|other| other.vendor == listing.vendor) {
        None => model.listings.push(listing),
        // Two names of one vendor for one model: ours, else the one that is the slug, else the first.
        Some(other) => {
            let plain = fold_name(&listing.name) == fold_name(&model.slug);
            if other.hand.is_none() && (listing.hand.is_some() || plain) {
                *other = listing;
            }
        }
    }
}

fn sold_by_maker(model: &Found<'_>) -> bool {
    model.listings.iter().any(|listing| listing.maker)
}
