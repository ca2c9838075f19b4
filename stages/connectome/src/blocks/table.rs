//! Counts of edges between blocks: a square array while blocks are few, a hash table while they are many.

use super::description_length::Pair;

/// Blocks up to which all pairs are held.
const DENSE: usize = 1024;

/// Statistics by (block, block).
#[derive(Debug, Clone)]
pub(crate) enum Table {
    /// `pairs[r · capacity + s]`.
    Dense {
        /// Blocks.
        capacity: usize,
        /// All pairs.
        pairs: Vec<Pair>,
    },
    /// Open addressing by `r · 2³² + s`.
    Hashed {
        /// Keys; `FREE` where there is none.
        keys: Vec<u64>,
        /// Their pairs.
        pairs: Vec<Pair>,
        /// Places that have a key.
        used: usize,
    },
}

const FREE: u64 = u64::MAX;

fn place(key: u64, mask: usize) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) as usize & mask
}

impl Table {
    pub(crate) fn new(capacity: usize, expected: usize) -> Table {
        if capacity <= DENSE {
            Table::Dense { capacity, pairs: vec![Pair::default(); capacity * capacity] }
        } else {
            let size = (2 * expected.max(64)).next_power_of_two();
            Table::Hashed { keys: vec![FREE; size], pairs: vec![Pair::default(); size], used: 0 }
        }
    }

    /// The pair; empty when there is none.
    #[inline]
    pub(crate) fn get(&self, r: u32, s: u32) -> Pair {
        match self {
            Table::Dense { capacity, pairs } => pairs[r as usize * capacity + s as usize],
            Table::Hashed { keys, pairs, .. } => {
                let (key, mask) = ((u64::from(r) << 32) | u64::from(s), keys.len() - 1);
                let mut at = place(key, mask);
                loop {
                    if keys[at] == key {
                        return pairs[at];
                    }
                    if keys[at] == FREE {
                        return Pair::default();
                    }
                    at = (at + 1) & mask;
                }
            }
        }
    }

    /// The pair to change.
    #[inline]
    pub(crate) fn at(&mut self, r: u32, s: u32) -> &mut Pair {
        if let Table::Hashed { keys, used, .. } = self
            && 2 * *used >= keys.len()
        {
            self.grow();
        }
        match self {
            Table::Dense { capacity, pairs } => &mut pairs[r as usize * *capacity + s as usize],
            Table::Hashed { keys, pairs, used } => {
                let (key, mask) = ((u64::from(r) << 32) | u64::from(s), keys.len() - 1);
                let mut at = place(key, mask);
                while keys[at] != key && keys[at] != FREE {
                    at = (at + 1) & mask;
                }
                if keys[at] == FREE {
                    keys[at] = key;
                    *used += 1;
                }
                &mut pairs[at]
            }
        }
    }

    /// Drops empty pairs and makes room.
    fn grow(&mut self) {
        let Table::Hashed { keys, pairs, .. } = self else { return };
        let kept: Vec<(u64, Pair)> =
            keys.iter().copied().zip(pairs.iter().copied()).filter(|(key, pair)| *key != FREE && pair.edges > 0).collect();
        let size = (4 * kept.len().max(32)).next_power_of_two();
        let (mut new_keys, mut new_pairs) = (vec![FREE; size], vec![Pair::default(); size]);
        for (key, pair) in &kept {
            let mut at = place(*key, size - 1);
            while new_keys[at] != FREE {
                at = (at + 1) & (size - 1);
            }
            (new_keys[at], new_pairs[at]) = (*key, *pair);
        }
        *self = Table::Hashed { keys: new_keys, pairs: new_pairs, used: kept.len() };
    }

    /// Calls `work(r, s, pair)` for all pairs with edges; in an order of the table's own.
    pub(crate) fn each(&self, mut work: impl FnMut(u32, u32, &Pair)) {
        match self {
            Table::Dense { capacity, pairs } => {
                for (at, pair) in pairs.iter().enumerate().filter(|(_, pair)| pair.edges > 0) {
                    work((at / capacity) as u32, (at % capacity) as u32, pair);
                }
            }
            Table::Hashed { keys, pairs, .. } => {
                for (key, pair) in keys.iter().zip(pairs).filter(|(key, pair)| **key != FREE && pair.edges > 0) {
                    work((key >> 32) as u32, *key as u32, pair);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_hold_the_same_through_changes_and_growth() {
        let mut dense = Table::new(DENSE, 0);
        let mut hashed = Table::new(DENSE + 1, 4);
        let mut x = 1u64;
        for step in 0..20_000u32 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (r, s) = ((x >> 33) as u32 % 90, (x >> 45) as u32 % 90);
            for table in [&mut dense, &mut hashed] {
                let pair = table.at(r, s);
                *pair = if step % 3 == 2 { pair.minus(&Pair::one(1.0)) } else { pair.plus(&Pair::one(1.0)) };
            }
        }
        for r in 0..90 {
            for s in 0..90 {
                assert_eq!(dense.get(r, s), hashed.get(r, s));
            }
        }
        let total = |table: &Table| {
            let mut sum = 0;
            table.each(|_, _, pair| sum += pair.edges);
            sum
        };
        assert!(total(&dense) == total(&hashed) && total(&dense) > 0);
    }
}
