//! Leases: never two living owners, and never none for good.

use crate::explore;
use crate::lease::{Ledger, Taken, release, take};
use std::io;
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::collections::{BTreeMap, BTreeSet};

/// Entries in memory; every call is one step that others may come between.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<u64, Vec<u8>>>);

impl Ledger for Memory {
    fn numbers(&self) -> io::Result<Vec<u64>> {
        Ok(self.0.lock().unwrap().keys().copied().collect())
    }

    fn create(&self, number: u64, content: &[u8]) -> io::Result<bool> {
        let mut entries = self.0.lock().unwrap();
        let is_new = !entries.contains_key(&number);
        entries.entry(number).or_insert_with(|| content.to_vec());
        Ok(is_new)
    }

    fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().get(&number).cloned())
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        self.0.lock().unwrap().remove(&number);
        Ok(())
    }
}

/// Who is inside, and who is dead. Not part of the model: looked at only to judge it.
#[derive(Default)]
struct World {
    ledger: Memory,
    inside: std::sync::Mutex<BTreeSet<Vec<u8>>>,
    dead: Mutex<BTreeSet<Vec<u8>>>,
}

impl World {
    fn take(&self, own: &[u8]) -> Option<u64> {
        match take(&self.ledger, own, |_, lease| self.dead.lock().unwrap().contains(lease)).unwrap() {
            Taken::Mine(number) => Some(number),
            Taken::Other(_) => None,
        }
    }

    /// Tries once. Gives whether it had the thing.
    fn work(&self, name: &str, dies: bool) -> bool {
        let own = name.as_bytes().to_vec();
        let Some(number) = self.take(&own) else { return false };
        assert!(self.inside.lock().unwrap().insert(own.clone()) && self.inside.lock().unwrap().len() == 1, "two living owners");
        thread::yield_now();
        self.inside.lock().unwrap().remove(&own);
        if dies {
            self.dead.lock().unwrap().insert(own);
        } else {
            release(&self.ledger, number).unwrap();
        }
        true
    }
}

fn at_once(dying: &'static [bool], before: &'static [u8]) {
    explore(move || {
        let world = Arc::new(World::default());
        if !before.is_empty() {
            assert!(world.take(before).is_some());
            world.dead.lock().unwrap().insert(before.to_vec());
        }
        let work = |number: usize| {
            let world = Arc::clone(&world);
            move || world.work(&format!("process {number}"), dying[number])
        };
        let others: Vec<_> = (1..dying.len()).map(|number| thread::spawn(work(number))).collect();
        let mut had = work(0)();
        others.into_iter().for_each(|other| had |= other.join().unwrap());
        // Somebody had it, whoever died; and it can be had again.
        assert!(had && world.work("the next", false));
        assert!(world.ledger.numbers().unwrap().len() <= 2, "entries pile up");
    });
}

#[test]
fn never_two_owners_and_afterwards_it_is_free() {
    at_once(&[false, false, false], b"");
}

#[test]
fn a_dead_owner_is_taken_over_by_one_even_if_that_one_dies() {
    at_once(&[false, false, false], b"the dead");
    at_once(&[true, false], b"the dead");
}

/// An owner that was taken for dead, and was only slow, lets go late: the one that took over keeps the thing.
#[test]
fn a_slow_owner_changes_nothing() {
    explore(|| {
        let world = Arc::new(World::default());
        let slow = world.take(b"slow").unwrap();
        world.dead.lock().unwrap().insert(b"slow".to_vec());
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.work("quick", false))
        };
        release(&world.ledger, slow).unwrap();
        world.work("third", false);
        other.join().unwrap();
        assert!(world.work("the next", false));
    });
}
