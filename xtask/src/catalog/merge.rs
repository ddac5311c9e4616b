//! Puts together what the sources say of each model, and notes for every field whose word it is.

use std::collections::BTreeMap;

use catalog::model::{Catalogue, CatalogueModel, Mode, Offer, Status, fold_name};
use catalog::sources::{Disagreement, ModelSources};

use super::editions::{date_of, parent};
use super::hand::Hand;
use super::listing::{Book, Said};
use super::prices::{Source, agree};
use super::select::{Found, Listing, Tables, select};

/// The catalogue and where it comes from.
pub struct Merged {
    /// The models.
    pub catalogue: Catalogue,
    /// The sources of their fields, in the same order.
    pub models: Vec<ModelSources>,
    /// The prices about which the sources disagree.
    pub disagreements: Vec<Disagreement>,
}

/// Merges the sources.
pub fn merge(tables: &Tables, hand: &Hand) -> Result<Merged, String> {
    let found = select(tables, hand);
    let names: BTreeMap<String, String> =
        found.iter().map(|(name, model)| (name.clone(), model.slug.clone())).collect();
    let mut built = Vec::new();
    for model in found.values() {
        built.push(build(model, &names)?);
    }
    inherit(&mut built);
    built.sort_by(|a, b| a.model.slug.cmp(&b.model.slug));
    let (mut models, mut sources, mut disagreements) = (Vec::new(), Vec::new(), Vec::new());
    for Built { model, sources: from, disagreements: differ } in built {
        models.push(model);
        sources.push(from);
        disagreements.extend(differ);
    }
    Ok(Merged { catalogue: Catalogue::new(models), models: sources, disagreements })
}

struct Built {
    model: CatalogueModel,
    sources: ModelSources,
    disagreements: Vec<Disagreement>,
}

impl Built {
    /// Returns the first word on a field, and notes whose it is.
    fn take<T>(&mut self, field: &str, words: impl IntoIterator<Item = (&'static str, Option<T>)>) -> Option<T> {
        let (source, value) = words.into_iter().find_map(|(source, value)| value.map(|value| (source, value)))?;
        self.sources.fields.insert(field.into(), source.into());
        Some(value)
    }
}

const OURS: &str = "crossway";

/// Returns what the sources say of a field: vendor by vendor, and within each in the given order.
fn words<'a, T>(
    listings: &'a [Listing<'_>],
    order: [Source; 3],
    field: impl Fn(&'a Said) -> Option<T>,
) -> Vec<(&'static str, Option<T>)> {
    let of = |listing: &'a Listing<'_>, source| (Source::name(source), listing.of(source).and_then(&field));
    listings.iter().flat_map(|listing| order.map(|source| of(listing, source))).collect()
}

const LISTS_FIRST: [Source; 3] = [Source::Litellm, Source::ModelsDev, Source::Genai];
const CARDS_FIRST: [Source; 3] = [Source::ModelsDev, Source::Genai, Source::Litellm];

fn build(found: &Found<'_>, names: &BTreeMap<String, String>) -> Result<Built, String> {
    let mut built = Built {
        model: CatalogueModel { slug: found.slug.as_str().into(), ..CatalogueModel::default() },
        sources: ModelSources { slug: found.slug.as_str().into(), ..ModelSources::default() },
        disagreements: Vec::new(),
    };
    facts(&mut built, found);
    let group = parent(&found.slug, |name| names.contains_key(name) && name != fold_name(&found.slug));
    built.model.group = group.and_then(|stem| names.get(&fold_name(&stem))).map(|slug| slug.as_str().into());
    let hand = found.hand;
    let aliases = hand.map(|hand| hand.aliases.as_slice()).unwrap_or_default();
    let free = aliases.iter().filter(|alias| !names.contains_key(&fold_name(alias)));
    built.model.aliases = free.map(|alias| alias.as_str().into()).collect();
    for listing in &found.listings {
        offer(&mut built, listing)?;
    }
    Ok(built)
}

/// Takes over what the model is, whoever sells it.
fn facts(built: &mut Built, found: &Found<'_>) {
    let (hand, listings) = (found.hand, found.listings.as_slice());
    let first = listings.first();
    built.model.mode = first.map_or(Mode::Chat, |listing| listing.mode);
    let source = if first.is_some_and(|listing| listing.of(Source::Litellm).is_some()) { "litellm" } else { OURS };
    built.sources.fields.insert("mode".into(), source.into());

    let ours = |value: Option<u64>| [(OURS, value)];
    let said = words(listings, CARDS_FIRST, |said| said.context_window);
    built.model.context_window =
        built.take("context_window", ours(hand.and_then(|hand| hand.context_window)).into_iter().chain(said));
    let said = words(listings, LISTS_FIRST, |said| said.max_output_tokens);
    built.model.max_output_tokens =
        built.take("max_output_tokens", ours(hand.and_then(|hand| hand.max_output_tokens)).into_iter().chain(said));

    let said = words(listings, CARDS_FIRST, |said| said.title.clone());
    let all = [(OURS, hand.and_then(|hand| hand.title.clone()))].into_iter().chain(said);
    let title = built.take("title", all.chain([("name", Some(found.slug.clone()))]));
    built.model.title = title.unwrap_or_default().into();

    let said = words(listings, CARDS_FIRST, |said| said.released.clone());
    let all = [(OURS, hand.and_then(|hand| hand.released.clone())), ("name", date_of(&found.slug))];
    built.model.released = built.take("released", all.into_iter().chain(said)).map(Into::into);

    let own = hand.and_then(|hand| hand.capabilities.clone());
    let listed = |said: &Said| -> Option<Vec<String>> {
        (!said.capabilities.is_empty()).then(|| said.capabilities.iter().map(|name| (*name).to_owned()).collect())
    };
    let all = [(OURS, own)].into_iter().chain(words(listings, LISTS_FIRST, listed));
    let mut capabilities = built.take("capabilities", all).unwrap_or_default();
    capabilities.sort();
    built.model.capabilities = capabilities.into_iter().map(Into::into).collect();

    let inputs = |said: &Said| (!said.input_modalities.is_empty()).then(|| said.input_modalities.clone());
    let inputs = built.take("input_modalities", words(listings, CARDS_FIRST, inputs));
    built.model.input_modalities = inputs.unwrap_or_default().into_iter().map(Into::into).collect();
    let outputs = |said: &Said| (!said.output_modalities.is_empty()).then(|| said.output_modalities.clone());
    let outputs = built.take("output_modalities", words(listings, CARDS_FIRST, outputs));
    built.model.output_modalities = outputs.unwrap_or_default().into_iter().map(Into::into).collect();

    built.model.quality = built.take("quality", [(OURS, hand.and_then(|hand| hand.quality))]);
    ending(built, first);
}

/// Takes over what the first vendor says of the model's end.
fn ending(built: &mut Built, first: Option<&Listing<'_>>) {
    let Some(first) = first.filter(|listing| listing.maker) else { return };
    let said = words(std::slice::from_ref(first), LISTS_FIRST, |said| said.ends.clone());
    built.model.deprecation_date = built.take("deprecation_date", said).map(Into::into);
    let flagged = first.said.iter().find(|(_, said)| said.deprecated || said.ends.is_some());
    if let Some((source, _)) = flagged {
        built.model.status = Status::Deprecated;
        built.sources.fields.insert("status".into(), source.name().into());
    }
}

fn offer(built: &mut Built, listing: &Listing<'_>) -> Result<(), String> {
    let hand = listing.hand;
    let own = hand.map(|offer| offer.book()).transpose()?.unwrap_or_default();
    let mut books: Vec<(Source, Book)> = vec![(Source::Crossway, own)];
    books.extend(listing.said.iter().map(|(source, said)| (*source, said.prices.clone())));
    let agreed = agree(&books);
    let (slug, vendor) = (built.model.slug.clone(), Box::<str>::from(listing.vendor));
    built.disagreements.extend(agreed.disagreements.into_iter().map(|differ| Disagreement {
        slug: slug.clone(),
        vendor: vendor.clone(),
        ..differ
    }));
    let mut sources: BTreeMap<Box<str>, Box<str>> = agreed.sources;
    let one = std::slice::from_ref(listing);
    let mut limit = |name: &str, ours: Option<u64>, said: Vec<(&'static str, Option<u64>)>, model: Option<u64>| {
        let all = [(OURS, ours)].into_iter().chain(said);
        let (source, value) = all.filter_map(|(source, value)| value.map(|value| (source, value))).next()?;
        if Some(value) == model {
            return None;
        }
        sources.insert(name.into(), source.into());
        Some(value)
    };
    let said = words(one, CARDS_FIRST, |said| said.context_window);
    let context =
        limit("context_window", hand.and_then(|offer| offer.context_window), said, built.model.context_window);
    let said = words(one, LISTS_FIRST, |said| said.max_output_tokens);
    let output =
        limit("max_output_tokens", hand.and_then(|offer| offer.max_output_tokens), said, built.model.max_output_tokens);
    let listed = listing.of(Source::Litellm);
    let link = hand.and_then(|offer| offer.source.clone()).or_else(|| listed.and_then(|said| said.link.clone()));
    let ends = listing.ends().map(Box::<str>::from);
    built.model.offers.push(Offer {
        vendor: vendor.clone(),
        name: listing.name.as_str().into(),
        default: hand.is_some_and(|offer| offer.default),
        responses_only: hand.is_some_and(|offer| offer.responses_only)
            || listed.is_some_and(|said| said.responses_only),
        context_window: context,
        max_output_tokens: output,
        deprecation_date: ends.filter(|day| built.model.deprecation_date.as_ref() != Some(day)),
        prices: agreed.rows,
        source: link.map(Into::into),
    });
    if !sources.is_empty() {
        built.sources.offers.insert(vendor, sources);
    }
    Ok(())
}

/// Gives dated editions the quality of what they are an edition of.
fn inherit(built: &mut [Built]) {
    let known: BTreeMap<String, u32> = built
        .iter()
        .filter_map(|built| built.model.quality.map(|quality| (fold_name(&built.model.slug), quality)))
        .collect();
    for built in built.iter_mut().filter(|built| built.model.quality.is_none()) {
        let group = built.model.group.as_deref().map(fold_name);
        built.model.quality = group.and_then(|group| known.get(&group)).copied();
        if built.model.quality.is_some() {
            built.sources.fields.insert("quality".into(), "group".into());
        }
    }
}

#[cfg(test)]
mod tests;
