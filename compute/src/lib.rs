//! The numbers: CPU kernels and wgpu kernels behind one set of functions.
