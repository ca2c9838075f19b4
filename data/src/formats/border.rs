//! The border to the crates that decode Arrow and Parquet.
//!
//! Our readers check lengths, offsets and nesting before they hand bytes over. What slips through may still hit an assertion in there;
//! `within_border` is the last resort that turns such a panic into an error, because a damaged file must never end the program.
//! It needs panics that unwind, so the workspace must not be built with `panic = "abort"`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static WITHIN: Cell<u32> = const { Cell::new(0) };
}

/// True while this thread is inside a decoder whose panics become errors.
///
/// A program's panic hook can ask this and stay silent: the reader's error tells the user what was wrong with the file.
pub fn panics_become_errors() -> bool {
    WITHIN.with(|within| within.get() > 0)
}

/// Runs `decode` and turns a panic inside it into its message.
///
/// Unwind safety: whatever `decode` was building is dropped by the unwinding, and callers hand in only shared bytes and values they give up on.
pub fn within_border<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    WITHIN.with(|within| within.set(within.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(decode));
    WITHIN.with(|within| within.set(within.get().saturating_sub(1)));
    result.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("the decoder gave up: {}", message.unwrap_or("it did not say why")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_is_known_to_be_caught() {
        let result: Result<(), String> = within_border(|| {
            assert!(panics_become_errors());
            panic!("offset {} is beyond the end", 7);
        });
        assert_eq!(result.unwrap_err(), "the decoder gave up: offset 7 is beyond the end");
        assert!(!panics_become_errors());
    }
}
