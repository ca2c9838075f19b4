//! Which block model describes a graph in the fewest nats, and the partition that does.
//!
//! Lengths of all variants are of the same data, so that they can be compared: weights that no block tells apart are described by one distribution for all edges.

use super::description_length::{Degrees, Model, Pair, Weights};
use super::network::Network;
use super::search::{Effort, Found, LARGE, STIRRED, description_length, refine, search, settle, single, start};
use neuroflow_data::random::Stream;
use neuroflow_stage::{CancelToken, StageError};
use rayon::prelude::*;
use std::ops::Range;

/// Variants that are looked at closely.
const CLOSELY: usize = 3;

/// And in large graphs, where the same moves gain alike under all.
const CLOSELY_LARGE: usize = 2;

/// Starts that are enough when all of them come to the same.
const AGREED: usize = 3;

/// How often to start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Starts {
    /// So often at most.
    pub(crate) most: usize,
    /// Fewer when the first ones come to the same length.
    pub(crate) until_agreed: bool,
}

/// A block model, and what it says beside the partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) model: Model,
    /// What weights add when they have one distribution for all edges; the model's own are `None` then.
    pub(crate) beside: f64,
    /// Whether weights have one distribution for all edges.
    pub(crate) one_weight: bool,
}

impl Variant {
    /// The length of a partition.
    pub(crate) fn length(&self, network: &Network, of: &[u32], nested: bool) -> f64 {
        description_length(network, self.model, of, nested) + self.beside
    }
}

/// What may vary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Freedom<'a> {
    pub(crate) degrees: &'a [Degrees],
    /// Each pair of blocks with parameters of its own.
    pub(crate) each: bool,
    /// One set of parameters inside of blocks, one between.
    pub(crate) assortative: bool,
    /// One distribution of weights for all edges.
    pub(crate) one_weight: bool,
}

/// The variants of a model, the fewest parameters last.
pub(crate) fn variants(network: &Network, model: Model, freedom: Freedom<'_>) -> Vec<Variant> {
    let total = network.weights().fold(Pair::default(), |sum, weight| sum.plus(&Pair::one(weight)));
    let beside = model.weights(&total) + model.constant_of_weights(network.weights());
    let mut all = Vec::new();
    for one_weight in [false, true] {
        if one_weight && (!freedom.one_weight || model.weights == Weights::None) {
            continue;
        }
        for assortative in [false, true] {
            if !(if assortative { freedom.assortative } else { freedom.each }) {
                continue;
            }
            all.extend(freedom.degrees.iter().map(|&degrees| Variant {
                model: Model { degrees, assortative, weights: if one_weight { Weights::None } else { model.weights }, ..model },
                beside: if one_weight { beside } else { 0.0 },
                one_weight,
            }));
        }
    }
    all
}

/// The variant that was chosen, and what every start of it came to; lengths are whole.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) variant: Variant,
    pub(crate) found: Vec<Found>,
}

impl Chosen {
    /// The shortest.
    pub(crate) fn best(&self) -> usize {
        let mut best = 0;
        for (position, candidate) in self.found.iter().enumerate() {
            if candidate.length < self.found[best].length - 1e-9 {
                best = position;
            }
        }
        best
    }
}

/// The best variant, and its best partition of several starts. With one variant, all starts are searches of their own. With several, a few of them are searched roughly, what was
/// found is measured under all, the shortest are searched closely (in large graphs by moves of single nodes, and only the shortest of them by merges and splits), and the other
/// starts are of the shortest alone.
pub(crate) fn choose(
    network: &Network,
    variants: &[Variant],
    effort: Effort,
    starts: Starts,
    stream: &Stream,
    cancel: &CancelToken,
) -> Result<Option<Chosen>, StageError> {
    let Some(&first) = variants.first() else { return Ok(None) };
    let whole = |variant: &Variant, mut found: Found| {
        found.length += variant.beside;
        found
    };
    let restarts = |variant: &Variant, range: Range<usize>| -> Result<Vec<Found>, StageError> {
        let found = |restart: usize| search(network, variant.model, effort, &stream.split_index(restart as u64), cancel);
        range.into_par_iter().map(|restart| Ok(whole(variant, found(restart)?))).collect()
    };
    let agreed = |found: &[Found]| found.iter().all(|other| (other.length - found[0].length).abs() < 1e-6);
    let first_starts = if starts.until_agreed { AGREED.min(starts.most) } else { starts.most };
    // All starts of a variant. Those that are `found` are its first, and those that were made `ahead` follow them.
    let again = |variant: Variant, mut found: Vec<Found>, ahead: Vec<Found>| {
        let mut ahead = ahead.into_iter();
        for to in [first_starts, starts.most] {
            found.extend(ahead.by_ref().take(to.saturating_sub(found.len())));
            found.extend(restarts(&variant, found.len()..to)?);
            if agreed(&found) {
                break;
            }
        }
        Ok(Some(Chosen { variant, found }))
    };
    if variants.len() == 1 {
        return again(first, Vec::new(), Vec::new());
    }
    let stream_of = |place: usize| stream.split("variants").split_index(place as u64);
    let scouts = scouts(variants, network.halves() > STIRRED);
    let mut roughly = scouts
        .into_par_iter()
        .map(|place| start(network, variants[place].model, effort, &stream_of(place), cancel))
        .collect::<Result<Vec<_>, _>>()?;
    if effort.blocks.is_none() {
        roughly.push(single(network));
    }
    let mut measured: Vec<(f64, usize, usize)> = (0..variants.len() * roughly.len())
        .into_par_iter()
        .map(|at| (at / roughly.len(), at % roughly.len()))
        .map(|(place, start)| (variants[place].length(network, &roughly[start], effort.nested), place, start))
        .collect();
    measured.sort_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    let mut seen = vec![false; variants.len()];
    measured.retain(|(_, place, _)| !std::mem::replace(&mut seen[*place], true));
    // In large graphs merges and splits are dear and change little; moves tell the variants apart.
    let large = network.halves() > LARGE && measured.len() > 1;
    measured.truncate(if large { CLOSELY_LARGE } else { CLOSELY });
    let settled: Vec<Found> = measured
        .par_iter()
        .map(|&(length, place, start)| {
            let of = &roughly[start];
            // In large graphs a search moves all nodes anyway.
            if large {
                return Found { of: of.clone(), length, levels: Vec::new() };
            }
            whole(&variants[place], settle(network, variants[place].model, effort, of, &stream_of(place)))
        })
        .collect();
    let effort_of_each = if large { Effort { rounds: 0, ..effort } } else { effort };
    let closely = || {
        let refined = measured.par_iter().zip(&settled).map(|(&(_, place, _), settled)| {
            let variant = &variants[place];
            Ok((place, whole(variant, refine(network, variant.model, effort_of_each, &settled.of, &stream_of(place), cancel)?)))
        });
        refined.collect::<Result<Vec<_>, StageError>>()
    };
    // Threads that have no variant to look at begin with the starts of the likeliest. What they find is what would be found later.
    let likeliest = (0..settled.len()).min_by(|&a, &b| settled[a].length.total_cmp(&settled[b].length)).map(|at| measured[at].1);
    let ahead = || -> Result<Vec<Found>, StageError> {
        let Some(place) = likeliest.filter(|_| !large && rayon::current_num_threads() > 1) else { return Ok(Vec::new()) };
        let mut found = restarts(&variants[place], 1..first_starts)?;
        if !agreed(&found) {
            found.extend(restarts(&variants[place], first_starts..starts.most)?);
        }
        Ok(found)
    };
    let (closely, ahead) = rayon::join(closely, ahead);
    let best = closely?.into_iter().min_by(|x, y| x.1.length.total_cmp(&y.1.length));
    let Some((place, mut found)) = best else { return Ok(None) };
    let variant = variants[place];
    if large {
        found = whole(&variant, refine(network, variant.model, effort, &found.of, &stream.split("chosen"), cancel)?);
    }
    again(variant, vec![found], if likeliest == Some(place) { ahead? } else { Vec::new() })
}

/// The variants that are searched roughly: of each kind the one with the freest degrees, and of the first kind also the one with the most particular. Of large graphs only
/// the first two kinds.
fn scouts(variants: &[Variant], large: bool) -> Vec<usize> {
    let kind = |variant: &Variant| (variant.one_weight, variant.model.assortative);
    let mut places: Vec<usize> = Vec::new();
    for (place, variant) in variants.iter().enumerate() {
        let new = places.iter().all(|&other| kind(&variants[other]) != kind(variant));
        // One distribution of weights and one set of parameters: what both others find is enough.
        if new && kind(variant) != (true, true) {
            places.push(place);
        }
    }
    if large {
        places.truncate(2);
    } else if let Some(last) = variants.iter().rposition(|variant| kind(variant) == kind(&variants[0]))
        && last > 0
    {
        places.push(last);
    }
    places
}
