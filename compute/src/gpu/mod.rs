//! The GPU through wgpu: which adapters there are, kernels on one of them, and whole algorithms that stay there.
//!
//! * [`device`], [`adapter`], [`policy`], [`error`]: which device is used, and what happens when there is none, it is lost, or its memory is full. All of that is
//!   a value of [`GpuError`], never a panic.
//! * [`record`]: memory that is used again, and work that is recorded, sent once, and read back once.
//! * [`kernels`]: products by tiles (plain, batched, symmetric, with Khatri–Rao products and permuted labels made while they are read), squared distances, softmax,
//!   sums and maxima, element-wise functions. Which kernel runs follows from the sizes.
//! * [`ntf`], [`permutation`], [`discriminant`], and the training of [`crate::mlp`]: whole algorithms with one read-back.
//! * [`timing`], [`probe`]: how long the device itself was at work, and what it reaches at best.
//!
//! Numbers on the device are single precision. Sums run in another order than on the CPU, so results agree within rounding and not in every bit; on one device the
//! same input gives the same bytes.

pub mod adapter;
pub mod device;
pub mod discriminant;
pub mod error;
pub mod kernels;
pub(crate) mod network;
pub mod ntf;
pub mod permutation;
pub mod policy;
pub(crate) mod pool;
pub mod probe;
pub mod record;
pub mod timing;

pub use adapter::{Adapter, adapters};
pub use device::{Abilities, Gpu, Options, Which};
pub use error::GpuError;
pub use policy::{Place, Policy, by_policy};
pub use record::{Buffer, Recording};
