//! The border to the crates that decode Arrow and Parquet.
//!
//! Our readers check lengths, offsets and nesting before they hand bytes over. What slips through may still hit an assertion in there;
//! `within_border` is the last resort that turns such a panic into an error, because a damaged file must never end the program.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `decode` and turns a panic inside it into its message.
///
/// Unwind safety: whatever `decode` was building is dropped by the unwinding, and callers hand in only shared bytes and values they give up on.
pub(super) fn within_border<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(result) => result,
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(format!("the decoder gave up: {message}"))
        }
    }
}
