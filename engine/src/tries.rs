//! When a task that failed is tried again: as often as the pipeline says, with longer pauses each time, and with more memory where it ran out of it.

use crate::outcome::Ending;
use std::time::Duration;

/// The longest pause before another attempt.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is left of a task's attempts. It holds no clock and starts nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tries {
    /// Bytes that the next try may hold; none without a limit.
    pub(crate) memory: Option<u64>,
    most: u64,
    left: u64,
    pause: Duration,
}

impl Tries {
    /// Attempts for a task.
    pub(crate) fn new(memory: Option<(u64, u64)>, retries: u64, backoff: f64) -> Tries {
        let pause = Duration::try_from_secs_f64(backoff.max(0.0)).unwrap_or(LONGEST).min(LONGEST);
        Tries { memory: memory.map(|(first, _)| first), most: memory.map_or(0, |(first, most)| most.max(first)), left: retries, pause }
    }

    /// How long to wait before the next try after such an end; none when there is no other try.
    ///
    /// A task that ran out of memory is started again at once with twice as much, up to the most that it may have; that is no retry, for the same try
    /// with the same memory would end the same. With the most, it has failed for good.
    pub(crate) fn after(&mut self, ending: &Ending) -> Option<Duration> {
        match ending {
            Ending::OutOfMemory { .. } => {
                let memory = self.memory.filter(|memory| *memory < self.most)?;
                self.memory = Some(memory.saturating_mul(2).min(self.most));
                Some(Duration::ZERO)
            }
            Ending::Refused { again: true, .. } | Ending::TimedOut { .. } | Ending::Lost(_) if self.left > 0 => {
                self.left -= 1;
                let pause = self.pause;
                self.pause = pause.saturating_mul(2).min(LONGEST);
                Some(pause)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(again: bool) -> Ending {
        Ending::Refused { message: "it failed".into(), help: None, again }
    }

    #[test]
    fn pauses_grow_and_tries_come_to_an_end() {
        let mut tries = Tries::new(None, 3, 0.5);
        let pauses: Vec<Option<Duration>> = (0..4).map(|_| tries.after(&refused(true))).collect();
        assert_eq!(pauses, [Some(500), Some(1000), Some(2000), None].map(|pause| pause.map(Duration::from_millis)));
        let mut none = Tries::new(None, 0, 1.0);
        assert_eq!(none.after(&Ending::TimedOut { limit: 1.0 }), None);
    }

    #[test]
    fn memory_is_doubled_up_to_the_most_and_what_can_never_pass_is_not_tried_again() {
        let out = |limit| Ending::OutOfMemory { limit: Some(limit), peak: Some(limit + 1) };
        let mut tries = Tries::new(Some((4, 10)), 0, 1.0);
        let mut given = vec![tries.memory];
        while tries.after(&out(tries.memory.unwrap())) == Some(Duration::ZERO) {
            given.push(tries.memory);
        }
        assert_eq!(given, [Some(4), Some(8), Some(10)]);
        assert_eq!(Tries::new(Some((4, 4)), 5, 1.0).after(&out(4)), None);
        assert_eq!(Tries::new(None, 5, 1.0).after(&refused(false)), None);
        assert_eq!(Tries::new(None, 5, 1.0).after(&Ending::Cancelled), None);
    }
}
