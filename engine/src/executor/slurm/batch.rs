//! Which orders make up which job: grouped by what they need, short ones put together, as few arrays as possible.

use super::client::Needs;
use super::settings::SlurmSettings;
use crate::executor::Order;
use neuroflow_cache::Digest;
use neuroflow_stage::GpuPolicy;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the worker itself needs beside its task, in bytes.
const WORKERS_OWN: u64 = 256 << 20;
/// What the worker itself needs beside its tasks to begin, to read and to write, in seconds. SLURM counts in minutes anyway.
const SLACK: f64 = 60.0;
/// Orders that may each take long are not put together beyond this many seconds: partitions have limits.
const MOST_TOGETHER: f64 = 4.0 * 3600.0;

/// An order that is to be put into a job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting<'a> {
    pub(super) order: &'a Order,
    /// Whether it must not share a job with others.
    pub(super) alone: bool,
}

/// Jobs of one array: the keys of each element, and what each element needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Batch {
    pub(super) needs: Needs,
    pub(super) elements: Vec<Vec<Digest>>,
}

/// What must be equal for two orders to be in one array.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    cores: usize,
    memory: Option<u64>,
    /// Milliseconds.
    time: Option<u64>,
    gpu: bool,
}

/// The next array: of orders with equal needs, those that waited longest, in at most `room` elements. None when there is nothing, or no room.
pub(super) fn next(waiting: &[Waiting<'_>], settings: &SlurmSettings, room: usize) -> Option<Batch> {
    let mut groups: BTreeMap<Group, Vec<Waiting<'_>>> = BTreeMap::new();
    let first = group(waiting.first()?.order);
    for one in waiting {
        groups.entry(group(one.order)).or_default().push(*one);
    }
    let members = groups.remove(&first)?;
    if room == 0 {
        return None;
    }
    let unknown = members.iter().filter(|member| expected(member.order).is_none()).count();
    // Where nothing is known of how long they take, all jobs that there may be are used.
    let by_count = unknown.div_ceil(settings.max_jobs.max(1)).max(1);
    let batch = settings.batch.as_secs_f64();
    let mut elements: Vec<Element> = Vec::new();
    for member in members {
        let order = member.order;
        let limit = order.time.unwrap_or(0.0);
        let fits = elements.last().is_some_and(|element| {
            let known = expected(order).map_or(element.count < by_count, |_| element.expected < batch);
            !member.alone && !element.alone && known && element.limits + limit <= MOST_TOGETHER
        });
        if !fits {
            if elements.len() == room {
                break;
            }
            elements.push(Element { alone: member.alone, ..Element::default() });
        }
        let Some(element) = elements.last_mut() else { break };
        element.keys.push(order.key);
        element.count += 1;
        element.limits += limit;
        element.expected += expected(order).unwrap_or(0.0);
    }
    let longest = elements.iter().map(|element| element.limits).fold(0.0, f64::max);
    let time = match first.time {
        Some(_) => Some(Duration::try_from_secs_f64(longest + SLACK).unwrap_or(Duration::MAX)),
        None => settings.time,
    };
    let memory = match first.memory {
        Some(memory) => Some(memory.saturating_add(WORKERS_OWN)),
        None => settings.memory_per_core.map(|memory| memory.saturating_mul(first.cores as u64)),
    };
    Some(Batch {
        needs: Needs { cores: first.cores, memory, time, gpu: first.gpu },
        elements: elements.into_iter().map(|element| element.keys).collect(),
    })
}

#[derive(Default)]
struct Element {
    keys: Vec<Digest>,
    count: usize,
    /// Seconds that they may take.
    limits: f64,
    /// Seconds that they are expected to take.
    expected: f64,
    alone: bool,
}

fn group(order: &Order) -> Group {
    Group {
        cores: order.cores.max(1),
        memory: order.memory,
        time: order.time.map(|time| (time * 1e3) as u64),
        gpu: order.task.gpu == GpuPolicy::Require,
    }
}

/// Seconds that an order is expected to take.
fn expected(order: &Order) -> Option<f64> {
    order.expected_ms.filter(|ms| ms.is_finite() && *ms >= 0.0).map(|ms| ms / 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::fake::order;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn orders(count: u64, change: impl Fn(u64, &mut Order)) -> Vec<Order> {
        (0..count)
            .map(|number| {
                let mut order = order(number);
                change(number, &mut order);
                order
            })
            .collect()
    }

    fn next_of(orders: &[Order], settings: &SlurmSettings, room: usize) -> Option<Batch> {
        let waiting: Vec<Waiting<'_>> = orders.iter().map(|order| Waiting { order, alone: false }).collect();
        next(&waiting, settings, room)
    }

    fn sizes(batch: &Batch) -> Vec<usize> {
        batch.elements.iter().map(Vec::len).collect()
    }

    #[test]
    fn short_tasks_share_a_job_and_long_ones_do_not() {
        let settings = SlurmSettings::default();
        let short = next_of(&orders(1000, |_, order| order.expected_ms = Some(1000.0)), &settings, 500).unwrap();
        assert_eq!(sizes(&short), [[60].repeat(16), vec![40]].concat());
        let long = next_of(&orders(7, |_, order| order.expected_ms = Some(1e6)), &settings, 500).unwrap();
        assert_eq!(sizes(&long), [1; 7]);
        let unknown = next_of(&orders(1200, |_, _| ()), &settings, 500).unwrap();
        assert_eq!(sizes(&unknown), [3; 400]);
        assert_eq!(next_of(&orders(20, |_, _| ()), &settings, 500).unwrap().elements.len(), 20);
    }

    #[test]
    fn limits_of_time_and_memory_are_those_of_the_job() {
        let settings = SlurmSettings { time: Some(Duration::from_secs(7200)), memory_per_core: Some(1 << 30), ..SlurmSettings::default() };
        let plain = next_of(&orders(1, |_, order| order.cores = 4), &settings, 9).unwrap();
        assert_eq!(plain.needs, Needs { cores: 4, memory: Some(4 << 30), time: settings.time, gpu: false });
        let limited = orders(10, |_, order| {
            order.time = Some(100.0);
            order.memory = Some(1 << 30);
            order.expected_ms = Some(6000.0);
            order.task.gpu = GpuPolicy::Require;
        });
        let limited = next_of(&limited, &settings, 9).unwrap();
        assert_eq!(sizes(&limited), [10]);
        assert_eq!(limited.needs.time, Some(Duration::from_secs(1060)));
        assert_eq!(limited.needs.memory, Some((1 << 30) + WORKERS_OWN));
        assert!(limited.needs.gpu);
        // Ten hours each, however short they were before.
        let hours = orders(3, |_, order| {
            order.time = Some(36_000.0);
            order.expected_ms = Some(10.0);
        });
        assert_eq!(sizes(&next_of(&hours, &settings, 9).unwrap()), [1; 3]);
    }

    #[test]
    fn an_order_that_is_to_be_alone_is() {
        let orders = orders(4, |_, order| order.expected_ms = Some(1.0));
        let waiting: Vec<Waiting<'_>> =
            orders.iter().zip([false, true, false, false]).map(|(order, alone)| Waiting { order, alone }).collect();
        assert_eq!(sizes(&next(&waiting, &SlurmSettings::default(), 9).unwrap()), [1, 1, 2]);
    }

    proptest! {
        #[test]
        fn every_order_is_in_one_array_and_none_in_two(
            kinds in proptest::collection::vec((1usize..4, prop::option::of(1u64..3), prop::option::of(0.0..50_000.0f64), prop::option::of(0.0..1e6f64), any::<bool>()), 0..60),
            room in 1usize..20,
            max_jobs in 1usize..30,
        ) {
            let settings = SlurmSettings { max_jobs, ..SlurmSettings::default() };
            let mut orders = orders(kinds.len() as u64, |number, order| {
                let (cores, memory, time, expected, _) = kinds[number as usize];
                (order.cores, order.memory, order.time, order.expected_ms) = (cores, memory.map(|size| size << 30), time, expected);
            });
            let alone: Vec<bool> = kinds.iter().map(|kind| kind.4).collect();
            let is_alone: BTreeSet<Digest> = orders.iter().zip(&alone).filter(|(_, alone)| **alone).map(|(order, _)| order.key).collect();
            let mut seen = BTreeSet::new();
            let all = orders.len();
            while !orders.is_empty() {
                let waiting: Vec<Waiting<'_>> = orders.iter().map(|order| Waiting { order, alone: is_alone.contains(&order.key) }).collect();
                let batch = next(&waiting, &settings, room).unwrap();
                prop_assert!(batch.elements.len() <= room && batch.elements.iter().all(|element| !element.is_empty()));
                for element in &batch.elements {
                    prop_assert!(element.len() == 1 || element.iter().all(|key| !is_alone.contains(key)));
                    for key in element {
                        prop_assert!(seen.insert(*key));
                        let order = orders.iter().find(|order| order.key == *key).unwrap();
                        prop_assert!(batch.needs.cores == order.cores);
                        prop_assert!(batch.needs.time.is_none_or(|time| time.as_secs_f64() >= order.time.unwrap_or(0.0)));
                        prop_assert!(batch.needs.memory.is_none_or(|memory| memory >= order.memory.unwrap_or(0)));
                    }
                }
                orders.retain(|order| !seen.contains(&order.key));
            }
            prop_assert_eq!(seen.len(), all);
        }
    }
}
