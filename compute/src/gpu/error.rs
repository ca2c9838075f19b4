//! Why the GPU gave nothing.

/// Why the GPU gave nothing. The text says what happened and what can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter, or none that gives a device.
    #[error("no GPU can be used: {0}")]
    None(String),
    /// The device went away in the middle: its driver was reset, it was unplugged, or a kernel ran for too long.
    #[error("the GPU was lost: {0}; the next step that uses it opens it anew")]
    Lost(String),
    /// The device's memory is full.
    #[error("the memory of the GPU is full: {0}; use a smaller batch, or let it run on the CPU")]
    OutOfMemory(String),
    /// More than the device takes at a time, whatever its memory.
    #[error("{what} needs {needed} {unit}, the GPU takes at most {most} at a time; use a smaller batch, or let it run on the CPU")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// How much it needs.
        needed: u64,
        /// How much there can be.
        most: u64,
        /// Of what.
        unit: &'static str,
    },
    /// Sizes that don't fit together.
    #[error("{operation} on the GPU: {reason}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// The sizes found, and what would fit.
        reason: String,
    },
    /// The device or its driver refused what was sent.
    #[error("the GPU failed: {0}")]
    Failed(String),
}

impl GpuError {
    /// A [`GpuError::Shape`].
    pub(crate) fn shape(operation: &'static str, reason: impl Into<String>) -> GpuError {
        GpuError::Shape { operation, reason: reason.into() }
    }

    /// Whether the same work can succeed on the CPU. Sizes that don't fit together never can.
    pub fn is_of_the_device(&self) -> bool {
        !matches!(self, GpuError::Shape { .. })
    }
}

impl From<wgpu::Error> for GpuError {
    fn from(error: wgpu::Error) -> GpuError {
        match error {
            wgpu::Error::OutOfMemory { source } => GpuError::OutOfMemory(source.to_string()),
            other => GpuError::Failed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_says_what_can_be_done() {
        let full = GpuError::from(wgpu::Error::OutOfMemory { source: "no block of 4 GiB".into() });
        assert_eq!(full.to_string(), "the memory of the GPU is full: no block of 4 GiB; use a smaller batch, or let it run on the CPU");
        let refused = GpuError::from(wgpu::Error::Validation { source: "x".into(), description: "a binding is missing".into() });
        assert_eq!(refused, GpuError::Failed("a binding is missing".into()));
        assert!(full.is_of_the_device() && !GpuError::shape("product", "2 and 3").is_of_the_device());
    }
}
