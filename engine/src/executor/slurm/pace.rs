//! How often things are looked at. Tests are in a hurry; a scheduler that serves a thousand people is not to be asked every second.

use std::time::Duration;

/// How often things are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long no new order must come before an array is made.
    pub(super) quiet: Duration,
    /// How long orders are collected at most, at first.
    pub(super) window: Duration,
    /// How long orders are collected at most, when many arrays are out already.
    pub(super) most_window: Duration,
    /// How often the folders of reports are looked at.
    pub(super) look: Duration,
    /// How often the scheduler is asked when things happen.
    pub(super) poll: Duration,
    /// How often it is asked when nothing does.
    pub(super) most_poll: Duration,
    /// How long until a scheduler that was away is asked again, at first.
    pub(super) retry: Duration,
    /// How long at most.
    pub(super) most_retry: Duration,
    /// How long a cancelled run waits until the scheduler has cancelled its jobs.
    pub(super) farewell: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            quiet: Duration::from_millis(50),
            window: Duration::from_millis(200),
            most_window: Duration::from_secs(10),
            look: Duration::from_millis(100),
            poll: Duration::from_secs(2),
            most_poll: Duration::from_secs(15),
            retry: Duration::from_secs(2),
            most_retry: Duration::from_secs(60),
            farewell: Duration::from_secs(10),
        }
    }
}
