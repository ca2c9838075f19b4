//! Values by (row, column): an array while it is small, a hash table while it would not be.

/// Places up to which all are held.
const DENSE: usize = 1 << 20;

/// What a table holds; what is empty counts as absent.
pub(crate) trait Entry: Copy + Default {
    /// Whether there is nothing.
    fn is_empty(&self) -> bool;
}

impl Entry for u32 {
    fn is_empty(&self) -> bool {
        *self == 0
    }
}

/// Values by (row, column).
#[derive(Debug, Clone)]
pub(crate) enum Table<T> {
    /// `values[row · columns + column]`.
    Dense {
        /// Columns.
        columns: usize,
        /// All values.
        values: Vec<T>,
    },
    /// Open addressing by `row · 2³² + column`.
    Hashed {
        /// Keys; `FREE` where there is none.
        keys: Vec<u64>,
        /// Their values.
        values: Vec<T>,
        /// Places that have a key.
        used: usize,
    },
}

const FREE: u64 = u64::MAX;

fn place(key: u64, mask: usize) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) as usize & mask
}

impl<T: Entry> Table<T> {
    /// An empty table of `rows × columns`, of which about `expected` will be taken.
    pub(crate) fn new(rows: usize, columns: usize, expected: usize) -> Table<T> {
        match rows.checked_mul(columns) {
            Some(places) if places <= DENSE => Table::Dense { columns, values: vec![T::default(); places] },
            places => {
                let size = (2 * expected.min(places.unwrap_or(expected)).max(64)).next_power_of_two();
                Table::Hashed { keys: vec![FREE; size], values: vec![T::default(); size], used: 0 }
            }
        }
    }

    /// The value; empty when there is none.
    #[inline]
    pub(crate) fn get(&self, row: u32, column: u32) -> T {
        match self {
            Table::Dense { columns, values } => values[row as usize * columns + column as usize],
            Table::Hashed { keys, values, .. } => {
                let (key, mask) = ((u64::from(row) << 32) | u64::from(column), keys.len() - 1);
                let mut at = place(key, mask);
                loop {
                    if keys[at] == key {
                        return values[at];
                    }
                    if keys[at] == FREE {
                        return T::default();
                    }
                    at = (at + 1) & mask;
                }
            }
        }
    }

    /// The value to change.
    #[inline]
    pub(crate) fn at(&mut self, row: u32, column: u32) -> &mut T {
        if let Table::Hashed { keys, used, .. } = self
            && 2 * *used >= keys.len()
        {
            self.grow();
        }
        match self {
            Table::Dense { columns, values } => &mut values[row as usize * *columns + column as usize],
            Table::Hashed { keys, values, used } => {
                let (key, mask) = ((u64::from(row) << 32) | u64::from(column), keys.len() - 1);
                let mut at = place(key, mask);
                while keys[at] != key && keys[at] != FREE {
                    at = (at + 1) & mask;
                }
                if keys[at] == FREE {
                    keys[at] = key;
                    *used += 1;
                }
                &mut values[at]
            }
        }
    }

    /// Drops empty values and makes room.
    fn grow(&mut self) {
        let Table::Hashed { keys, values, .. } = self else { return };
        let kept: Vec<(u64, T)> =
            keys.iter().copied().zip(values.iter().copied()).filter(|(key, value)| *key != FREE && !value.is_empty()).collect();
        let size = (4 * kept.len().max(32)).next_power_of_two();
        let (mut new_keys, mut new_values) = (vec![FREE; size], vec![T::default(); size]);
        for (key, value) in &kept {
            let mut at = place(*key, size - 1);
            while new_keys[at] != FREE {
                at = (at + 1) & (size - 1);
            }
            (new_keys[at], new_values[at]) = (*key, *value);
        }
        *self = Table::Hashed { keys: new_keys, values: new_values, used: kept.len() };
    }

    /// Calls `work(row, column, value)` for all that is not empty; in an order of the table's own.
    pub(crate) fn each(&self, mut work: impl FnMut(u32, u32, &T)) {
        match self {
            Table::Dense { columns, values } => {
                for (at, value) in values.iter().enumerate().filter(|(_, value)| !value.is_empty()) {
                    work((at / columns) as u32, (at % columns) as u32, value);
                }
            }
            Table::Hashed { keys, values, .. } => {
                for (key, value) in keys.iter().zip(values).filter(|(key, value)| **key != FREE && !value.is_empty()) {
                    work((key >> 32) as u32, *key as u32, value);
                }
            }
        }
    }

    /// As `each`, with the value to change.
    pub(crate) fn each_mut(&mut self, mut work: impl FnMut(u32, u32, &mut T)) {
        match self {
            Table::Dense { columns, values } => {
                for (at, value) in values.iter_mut().enumerate().filter(|(_, value)| !value.is_empty()) {
                    work((at / *columns) as u32, (at % *columns) as u32, value);
                }
            }
            Table::Hashed { keys, values, .. } => {
                for (key, value) in keys.iter().zip(values).filter(|(key, value)| **key != FREE && !value.is_empty()) {
                    work((*key >> 32) as u32, *key as u32, value);
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
        let mut dense: Table<u32> = Table::new(90, 90, 0);
        let mut hashed: Table<u32> = Table::new(DENSE, 90, 4);
        assert!(matches!(dense, Table::Dense { .. }) && matches!(hashed, Table::Hashed { .. }));
        let mut x = 1u64;
        for step in 0..20_000u32 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (row, column) = ((x >> 33) as u32 % 90, (x >> 45) as u32 % 90);
            for table in [&mut dense, &mut hashed] {
                let value = table.at(row, column);
                *value = if step % 3 == 2 { value.saturating_sub(1) } else { *value + 1 };
            }
        }
        for row in 0..90 {
            for column in 0..90 {
                assert_eq!(dense.get(row, column), hashed.get(row, column));
            }
        }
        let total = |table: &Table<u32>| {
            let mut sum = 0;
            table.each(|_, _, count| sum += count);
            sum
        };
        assert!(total(&dense) == total(&hashed) && total(&dense) > 0);
        hashed.each_mut(|_, _, count| *count += 1);
        dense.each_mut(|_, _, count| *count += 1);
        assert_eq!(total(&dense), total(&hashed));
    }
}
