//! Tasks that could run, and what they would hold of the machine: cores, memory, GPUs, and pools that the scientist named.

use crate::task::TaskId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;

/// What there is to share out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Cores.
    pub cores: usize,
    /// Bytes of memory for tasks that say how much they need.
    pub memory: u64,
    /// GPUs.
    pub gpus: usize,
    /// Named pools and their sizes.
    pub pools: BTreeMap<String, u64>,
}

impl Machine {
    /// A machine with so many cores, its memory, one GPU and no pools.
    pub fn with_cores(cores: usize) -> Machine {
        Machine { cores: cores.max(1), memory: total_memory(), gpus: 1, pools: BTreeMap::new() }
    }
}

/// The memory of this machine in bytes; without a limit where that is not known.
pub fn total_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    let installed = kilobytes.map_or(u64::MAX, |kilobytes| kilobytes.saturating_mul(1024));
    installed.min(allowed_memory().unwrap_or(u64::MAX))
}

/// What the control groups of this process allow, as in a container or a cluster's job; none where they don't say.
fn allowed_memory() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut limits = Vec::new();
    for line in groups.lines() {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            controllers if controllers.split(',').any(|one| one == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        // Every group above counts too; inside of a container the path may be that of the outside, and only the root is there.
        for above in Path::new(path).ancestors() {
            let place = Path::new(root).join(above.strip_prefix("/").unwrap_or(above)).join(file);
            limits.extend(std::fs::read_to_string(place).ok().and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    limits.into_iter().min()
}

/// What a task holds while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demand {
    /// Cores.
    pub cores: usize,
    /// Bytes of memory; 0 when it does not say.
    pub memory: u64,
    /// GPUs.
    pub gpus: usize,
    /// Shares of named pools.
    pub pools: Vec<(String, u64)>,
    /// Which executor runs it; tasks of a cluster hold nothing of this machine but their pools.
    pub executor: usize,
}

/// How often less urgent tasks may go before one that does not fit.
const MOST_PASSED: u32 = 64;

/// The queue of tasks that could run: for each demand the most urgent first.
pub(crate) struct Ready {
    queues: BTreeMap<Demand, BinaryHeap<(u64, Reverse<TaskId>)>>,
    machine: Machine,
    free: Machine,
    /// For each executor, how many more orders it takes; none for this machine.
    orders: Vec<Option<usize>>,
    /// The task that was passed over last because it did not fit, and how often.
    passed: Option<(TaskId, u32)>,
}

impl Ready {
    /// An empty queue; `orders` says for each executor how many orders it takes, none for what this machine's resources bound.
    pub(crate) fn new(machine: Machine, orders: Vec<Option<usize>>) -> Ready {
        Ready { queues: BTreeMap::new(), free: machine.clone(), machine, orders, passed: None }
    }

    /// A demand that this machine can meet: what is more than all there is, is all there is.
    pub(crate) fn clamp(&self, demand: Demand) -> Demand {
        if self.orders.get(demand.executor).is_some_and(Option::is_some) {
            return demand;
        }
        Demand {
            cores: demand.cores.clamp(1, self.machine.cores),
            memory: demand.memory.min(self.machine.memory),
            gpus: demand.gpus.min(self.machine.gpus),
            pools: demand.pools,
            executor: demand.executor,
        }
    }

    pub(crate) fn push(&mut self, task: TaskId, priority: u64, demand: Demand) {
        self.queues.entry(demand).or_default().push((priority, Reverse(task)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.values().all(BinaryHeap::is_empty)
    }

    /// How many tasks wait.
    pub(crate) fn len(&self) -> usize {
        self.queues.values().map(BinaryHeap::len).sum()
    }

    /// The most urgent task that fits, with what it now holds. A task that does not fit is passed over by less urgent ones, but not for ever.
    pub(crate) fn pop(&mut self) -> Option<(TaskId, Demand)> {
        let mut tops: Vec<(u64, Reverse<TaskId>, &Demand)> =
            self.queues.iter().filter_map(|(demand, queue)| queue.peek().map(|(priority, task)| (*priority, *task, demand))).collect();
        tops.sort_by_key(|top| Reverse((top.0, top.1)));
        let fits = tops.iter().position(|(_, _, demand)| self.fits(demand))?;
        // Holding back cores brings no licence nearer: only who waits for the machine itself may stop others.
        if let Some((_, Reverse(first), _)) = tops[..fits].iter().find(|(_, _, demand)| self.has_leave(demand)) {
            let first = *first;
            let passed = match self.passed {
                Some((task, count)) if task == first => count + 1,
                _ => 1,
            };
            if passed > MOST_PASSED {
                return None;
            }
            self.passed = Some((first, passed));
        }
        let demand = tops[fits].2.clone();
        let (_, Reverse(task)) = self.queues.get_mut(&demand)?.pop()?;
        self.queues.retain(|_, queue| !queue.is_empty());
        self.hold(&demand);
        Some((task, demand))
    }

    /// Whether pools and the cluster's order book have room.
    fn has_leave(&self, demand: &Demand) -> bool {
        demand.pools.iter().all(|(name, share)| self.free.pools.get(name).is_some_and(|free| free >= share))
            && self.orders.get(demand.executor).copied().flatten().is_none_or(|orders| orders > 0)
    }

    fn fits(&self, demand: &Demand) -> bool {
        let here = self.orders.get(demand.executor).copied().flatten().is_none();
        let machine = demand.cores <= self.free.cores && demand.memory <= self.free.memory && demand.gpus <= self.free.gpus;
        self.has_leave(demand) && (!here || machine)
    }

    fn hold(&mut self, demand: &Demand) {
        for (name, share) in &demand.pools {
            if let Some(free) = self.free.pools.get_mut(name) {
                *free = free.saturating_sub(*share);
            }
        }
        match self.orders.get_mut(demand.executor) {
            Some(Some(orders)) => *orders = orders.saturating_sub(1),
            _ => {
                self.free.cores = self.free.cores.saturating_sub(demand.cores);
                self.free.memory = self.free.memory.saturating_sub(demand.memory);
                self.free.gpus = self.free.gpus.saturating_sub(demand.gpus);
            }
        }
    }

    /// Takes back what a task held.
    pub(crate) fn release(&mut self, demand: &Demand) {
        for (name, share) in &demand.pools {
            if let Some(free) = self.free.pools.get_mut(name) {
                *free += share;
            }
        }
        match self.orders.get_mut(demand.executor) {
            Some(Some(orders)) => *orders += 1,
            _ => {
                self.free.cores += demand.cores;
                self.free.memory = self.free.memory.saturating_add(demand.memory);
                self.free.gpus += demand.gpus;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(cores: usize, memory: u64) -> Demand {
        Demand { cores, memory, ..Demand::default() }
    }

    fn ready(cores: usize, memory: u64) -> Ready {
        let machine = Machine { cores, memory, gpus: 1, pools: BTreeMap::from([("licence".to_owned(), 1)]) };
        Ready::new(machine, vec![None, Some(3)])
    }

    #[test]
    fn the_most_urgent_task_goes_first_and_a_small_one_fills_the_gap() {
        let mut ready = ready(2, 100);
        ready.push(0, 5, demand(2, 0));
        ready.push(1, 9, demand(1, 0));
        ready.push(2, 1, demand(1, 0));
        assert_eq!(ready.pop().unwrap().0, 1);
        assert_eq!(ready.pop().unwrap().0, 2, "two cores are not free, one is");
        assert!(ready.pop().is_none());
        ready.release(&demand(1, 0));
        ready.release(&demand(1, 0));
        assert_eq!(ready.pop().unwrap().0, 0);
    }

    #[test]
    fn a_large_task_is_not_passed_over_for_ever() {
        let mut ready = ready(2, 100);
        ready.push(0, 5, demand(1, 0));
        assert_eq!(ready.pop().unwrap().0, 0);
        ready.push(1, 9, demand(2, 0));
        let mut passed = 0;
        for task in 2..1000 {
            ready.push(task, 1, demand(1, 0));
            match ready.pop() {
                Some((popped, demand)) => {
                    assert_ne!(popped, 1);
                    ready.release(&demand);
                    passed += 1;
                }
                None => break,
            }
        }
        assert_eq!(passed, MOST_PASSED);
        ready.release(&demand(1, 0));
        assert_eq!(ready.pop().unwrap().0, 1);
    }

    #[test]
    fn who_waits_for_a_licence_stops_nobody() {
        let mut ready = ready(2, 100);
        let licensed = Demand { pools: vec![("licence".into(), 1)], ..demand(1, 0) };
        ready.push(0, 9, licensed.clone());
        ready.push(1, 9, licensed.clone());
        assert_eq!(ready.pop().unwrap().0, 0);
        for task in 2..500 {
            ready.push(task, 1, demand(1, 0));
            let (popped, held) = ready.pop().unwrap();
            assert_eq!(popped, task);
            ready.release(&held);
        }
        ready.release(&licensed);
        assert_eq!(ready.pop().unwrap().0, 1);
    }

    #[test]
    fn memory_and_pools_are_never_given_twice() {
        let mut ready = ready(8, 100);
        let licensed = Demand { pools: vec![("licence".into(), 1)], ..demand(1, 60) };
        ready.push(0, 1, licensed.clone());
        ready.push(1, 1, licensed.clone());
        ready.push(2, 0, demand(1, 60));
        let (first, held) = ready.pop().unwrap();
        assert_eq!(first, 0);
        assert!(ready.pop().is_none(), "neither the licence nor 60 more bytes are there");
        ready.release(&held);
        assert_eq!(ready.pop().unwrap().0, 1);
    }

    #[test]
    fn a_cluster_takes_its_number_of_orders_whatever_this_machine_has() {
        let mut ready = ready(1, 1);
        let far = Demand { executor: 1, ..demand(64, 1 << 40) };
        (0..5).for_each(|task| ready.push(task, 0, ready_clamped(&far)));
        let taken = std::iter::from_fn(|| ready.pop()).count();
        assert_eq!(taken, 3);
        assert_eq!(ready.len(), 2);
        assert!(!ready.is_empty());
    }

    fn ready_clamped(demand: &Demand) -> Demand {
        ready(1, 1).clamp(demand.clone())
    }

    #[test]
    fn what_is_more_than_all_there_is_is_all_there_is() {
        assert_eq!(ready(4, 100).clamp(demand(64, 1000)), demand(4, 100));
        assert_eq!(ready(4, 100).clamp(demand(0, 0)), demand(1, 0));
    }
}
