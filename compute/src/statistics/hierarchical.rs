//! The hierarchical bootstrap: uncertainty of data that are nested, such as trials in units in animals.

use super::{p_value, quantile_of_sorted};
use crate::ComputeError;
use crate::error::{finite, same_length};
use crate::random::Stream;

/// What a bootstrap found.
#[derive(Debug, Clone, PartialEq)]
pub struct HierarchicalBootstrap {
    /// The statistic of the data as they are.
    pub observed: f64,
    /// The statistic of each resample, ascending.
    pub resampled: Vec<f64>,
}

impl HierarchicalBootstrap {
    /// The percentile interval with a coverage such as 0.95. Refuses a level outside of 0–1.
    pub fn interval(&self, level: f64) -> Result<(f64, f64), ComputeError> {
        if !(level > 0.0 && level < 1.0) {
            return Err(ComputeError::value(
                "hierarchical bootstrap",
                format!("the level is {level}; it lies between 0 and 1, such as 0.95"),
            ));
        }
        let tail = (1.0 - level) / 2.0;
        Ok((quantile_of_sorted(&self.resampled, tail), quantile_of_sorted(&self.resampled, 1.0 - tail)))
    }

    /// The p value, of both sides, of the hypothesis that the statistic is `value`: twice `(1 + b) / (1 + m)` of the smaller side, at most 1.
    pub fn p_value(&self, value: f64) -> f64 {
        let negative: Vec<f64> = self.resampled.iter().map(|resampled| -resampled).collect();
        (2.0 * p_value(value, &self.resampled).min(p_value(-value, &negative))).min(1.0)
    }
}

/// Resamples from the outermost level in: animals with replacement, in each of them units with replacement, in each of these trials with replacement
/// (Saravanan, Berman & Sober 2020). The naive bootstrap over all values takes values of one animal for independent, and finds effects in noise.
///
/// `levels` lists, outermost first, which group each value belongs to; a group is told apart within its parent only. Values are drawn in the
/// innermost groups. Without levels it is the plain bootstrap. `statistic` sees the drawn values. With few groups at the outermost level (below ten
/// or so) intervals are too narrow: there is no remedy in resampling.
///
/// Refuses no values or resamples, levels of other lengths, and values that are not finite.
pub fn hierarchical_bootstrap(
    values: &[f64],
    levels: &[&[usize]],
    resamples: usize,
    stream: &Stream,
    statistic: impl Fn(&[f64]) -> f64,
) -> Result<HierarchicalBootstrap, ComputeError> {
    let operation = "hierarchical bootstrap";
    if values.is_empty() || resamples == 0 {
        let reason = format!("{} values and {resamples} resamples; at least one of each is needed", values.len());
        return Err(ComputeError::value(operation, reason));
    }
    levels.iter().try_for_each(|level| same_length(operation, values.len(), level.len()))?;
    finite(operation, values)?;
    let tree = Group::of((0..values.len()).collect(), levels);
    let mut drawn = Vec::with_capacity(values.len());
    let mut resampled: Vec<f64> = (0..resamples)
        .map(|number| {
            drawn.clear();
            tree.draw(values, &mut stream.split_index(number as u64), &mut drawn);
            statistic(&drawn)
        })
        .collect();
    resampled.sort_unstable_by(f64::total_cmp);
    Ok(HierarchicalBootstrap { observed: statistic(values), resampled })
}

/// A group of values, or of smaller groups.
enum Group {
    Values(Vec<usize>),
    Groups(Vec<Group>),
}

impl Group {
    fn of(members: Vec<usize>, levels: &[&[usize]]) -> Group {
        let Some((level, inner)) = levels.split_first() else { return Group::Values(members) };
        let mut names: Vec<usize> = members.iter().map(|&place| level[place]).collect();
        names.sort_unstable();
        names.dedup();
        let group = |name: usize| Group::of(members.iter().copied().filter(|&place| level[place] == name).collect(), inner);
        Group::Groups(names.into_iter().map(group).collect())
    }

    fn draw(&self, values: &[f64], stream: &mut Stream, drawn: &mut Vec<f64>) {
        match self {
            Group::Values(members) => {
                for _ in members {
                    drawn.push(values[members[stream.below(members.len() as u64) as usize]]);
                }
            }
            Group::Groups(groups) => {
                for _ in groups {
                    groups[stream.below(groups.len() as u64) as usize].draw(values, stream, drawn);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::close;
    use crate::statistics::{mean, standard_deviation};

    /// Values of `groups` groups of `size`, with a deviation of the groups and one within.
    fn nested(groups: usize, size: usize, between: f64, within: f64) -> (Vec<f64>, Vec<usize>) {
        let mut stream = Stream::new(5);
        let mut values = Vec::new();
        for _ in 0..groups {
            let centre = between * stream.normal();
            values.extend((0..size).map(|_| centre + within * stream.normal()));
        }
        let level = (0..groups * size).map(|place| place / size).collect();
        (values, level)
    }

    #[test]
    fn the_spread_of_a_mean_is_that_of_the_groups_means() {
        let (values, level) = nested(40, 20, 1.0, 0.5);
        let means: Vec<f64> = values.chunks(20).map(mean).collect();
        let expected = standard_deviation(&means, 0) / 40f64.sqrt();
        let nested = hierarchical_bootstrap(&values, &[&level], 2000, &Stream::new(1), mean).unwrap();
        let spread = standard_deviation(&nested.resampled, 1);
        assert!(spread > expected && spread < 1.15 * expected, "{spread} {expected}");
        let plain = hierarchical_bootstrap(&values, &[], 2000, &Stream::new(1), mean).unwrap();
        close(standard_deviation(&plain.resampled, 1), standard_deviation(&values, 0) / 800f64.sqrt(), 0.005);
        assert_eq!(nested.observed, mean(&values));
    }

    #[test]
    fn deeper_levels_nest_and_names_count_within_their_parent() {
        // Two animals with the units 0 and 1 each, of constant values: every resample is a mean of four of them.
        let (values, animal, unit) = ([1.0, 1.0, 2.0, 2.0, 10.0, 10.0, 20.0, 20.0], [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 1, 1]);
        let found = hierarchical_bootstrap(&values, &[&animal, &unit], 500, &Stream::new(1), mean).unwrap();
        let possible = |value: f64| {
            (0..4096).any(|code| {
                let pick = |place: u32| [1.0, 2.0, 10.0, 20.0][(code >> (2 * place) & 3) as usize];
                let same_animal = |a: f64, b: f64| (a < 5.0) == (b < 5.0);
                same_animal(pick(0), pick(1))
                    && same_animal(pick(2), pick(3))
                    && ((pick(0) + pick(1) + pick(2) + pick(3)) / 4.0 - value).abs() < 1e-12
            })
        };
        assert!(found.resampled.iter().all(|&value| possible(value)));
        assert_eq!((found.resampled[0], found.resampled[499]), (1.0, 20.0));
    }

    #[test]
    fn intervals_p_values_and_refusals() {
        let (values, level) = nested(12, 5, 0.2, 0.2);
        let shifted: Vec<f64> = values.iter().map(|value| value + 3.0).collect();
        let found = hierarchical_bootstrap(&shifted, &[&level], 999, &Stream::new(1), mean).unwrap();
        let (low, high) = found.interval(0.95).unwrap();
        assert!(low < found.observed && found.observed < high && high - low < 0.6);
        assert_eq!(found.p_value(0.0), 0.002);
        assert!(found.p_value(found.observed) > 0.8 && found.interval(1.0).is_err());
        assert!(hierarchical_bootstrap(&[], &[], 9, &Stream::new(1), mean).is_err());
        assert!(hierarchical_bootstrap(&values, &[&level[1..]], 9, &Stream::new(1), mean).is_err());
        assert!(hierarchical_bootstrap(&values, &[&level], 0, &Stream::new(1), mean).is_err());
        assert!(hierarchical_bootstrap(&[f64::NAN], &[], 9, &Stream::new(1), mean).is_err());
    }
}
