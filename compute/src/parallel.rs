//! Independent pieces of work on the threads of the current pool, with their results in order.

use rayon::prelude::*;

/// `work(0), work(1), … work(n − 1)`, in that order whichever thread did which. Each piece must depend on its number alone.
///
/// Runs in the pool it is called in (see [`with_threads`](crate::with_threads)); kernels that a piece calls share the same pool.
pub fn map_in_order<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    (0..n).into_par_iter().with_max_len(1).map(&work).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with_threads;

    #[test]
    fn results_are_in_order_on_any_number_of_threads() {
        let squares = |threads| with_threads(threads, || map_in_order(100, |number| number * number)).unwrap();
        assert_eq!(squares(1), (0..100).map(|number| number * number).collect::<Vec<_>>());
        assert_eq!(squares(1), squares(4));
    }
}
