//! The GPU through wgpu: which adapters there are, and matrix products on one of them.
//!
//! Everything that can go wrong with a device (none there, lost, out of memory) is a value of [`GpuError`], never a panic. The CPU twin of [`Gpu::matmul`] is
//! [`crate::mlp::matmul`]; sums run in another order there, so results agree within rounding and not in every bit.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wgpu::util::DeviceExt as _;

/// Why the GPU gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter, or none that works.
    #[error("no GPU can be used: {0}")]
    None(String),
    /// The device refused or was lost in the middle.
    #[error("the GPU failed: {0}")]
    Failed(String),
    /// Lengths do not fit the shape.
    #[error("a product of {m} × {k} and {k} × {n} needs as many values; {a} and {b} are given")]
    Shape {
        /// Rows of the left matrix.
        m: usize,
        /// Columns of the left, rows of the right matrix.
        k: usize,
        /// Columns of the right matrix.
        n: usize,
        /// Values of the left matrix given.
        a: usize,
        /// Values of the right matrix given.
        b: usize,
    },
}

/// An adapter, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// The interface that it is reached through.
    pub backend: String,
    /// What it is: a discrete GPU, a CPU that plays one, ….
    pub kind: String,
    /// Its driver.
    pub driver: String,
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}, {})", self.name, self.kind, self.backend, self.driver)
    }
}

/// Every adapter of this machine.
pub fn adapters() -> Vec<Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all())).iter().map(describe).collect()
}

fn describe(adapter: &wgpu::Adapter) -> Adapter {
    let info = adapter.get_info();
    Adapter {
        name: info.name,
        backend: format!("{:?}", info.backend),
        kind: format!("{:?}", info.device_type),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
    }
}

/// An open device with the kernels compiled.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    product: wgpu::ComputePipeline,
    /// The first error that no call was waiting for.
    failure: Arc<Mutex<Option<String>>>,
    adapter: Adapter,
}

/// Products by tiles of 16 × 16 kept in workgroup memory.
const PRODUCT: &str = r"
struct Shape { m: u32, k: u32, n: u32, unused: u32 }
@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
var<workgroup> tile_a: array<f32, 256>;
var<workgroup> tile_b: array<f32, 256>;
@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) at: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    var sum = 0.0;
    let tiles = (shape.k + 15u) / 16u;
    for (var tile = 0u; tile < tiles; tile++) {
        let column = tile * 16u + local.x;
        let row = tile * 16u + local.y;
        tile_a[local.y * 16u + local.x] = select(0.0, a[min(at.y * shape.k + column, arrayLength(&a) - 1u)], at.y < shape.m && column < shape.k);
        tile_b[local.y * 16u + local.x] = select(0.0, b[min(row * shape.n + at.x, arrayLength(&b) - 1u)], row < shape.k && at.x < shape.n);
        workgroupBarrier();
        for (var i = 0u; i < 16u; i++) { sum += tile_a[local.y * 16u + i] * tile_b[i * 16u + local.x]; }
        workgroupBarrier();
    }
    if (at.y < shape.m && at.x < shape.n) { c[at.y * shape.n + at.x] = sum; }
}
";

impl Gpu {
    /// Opens the adapter that the system prefers for speed.
    ///
    /// # Errors
    /// When there is none, or it gives no device.
    pub fn open() -> Result<Gpu, GpuError> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let options = wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
        let adapter = pollster::block_on(instance.request_adapter(&options)).map_err(|error| GpuError::None(error.to_string()))?;
        let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| GpuError::None(error.to_string()))?;
        let failure = Arc::new(Mutex::new(None));
        let told = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            told.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
        }));
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("product"),
            source: wgpu::ShaderSource::Wgsl(PRODUCT.into()),
        });
        let product = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("product"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let gpu = Gpu { device, queue, product, failure, adapter: describe(&adapter) };
        gpu.check()?;
        Ok(gpu)
    }

    /// The GPU of this process, opened once.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn shared() -> Result<&'static Gpu, GpuError> {
        static SHARED: OnceLock<Result<Gpu, GpuError>> = OnceLock::new();
        SHARED.get_or_init(Gpu::open).as_ref().map_err(Clone::clone)
    }

    /// The adapter that it runs on.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    fn check(&self) -> Result<(), GpuError> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(message) => Err(GpuError::Failed(message)),
            None => Ok(()),
        }
    }

    /// `a [m × k] · b [k × n]`, row-major.
    ///
    /// # Errors
    /// When lengths do not fit, or the device fails.
    pub fn matmul(&self, a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Result<Vec<f32>, GpuError> {
        if a.len() != m * k || b.len() != k * n {
            return Err(GpuError::Shape { m, k, n, a: a.len(), b: b.len() });
        }
        if m * k * n == 0 {
            return Ok(vec![0.0; m * n]);
        }
        let small = |value: usize| u32::try_from(value).map_err(|_| GpuError::Failed(format!("a side of {value} is too long")));
        let shape = [small(m)?, small(k)?, small(n)?, 0];
        let buffer = |label, contents: &[u8], usage| {
            self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: Some(label), contents, usage })
        };
        let shape_buffer = buffer("shape", bytemuck::cast_slice(&shape), wgpu::BufferUsages::UNIFORM);
        let left = buffer("a", bytemuck::cast_slice(a), wgpu::BufferUsages::STORAGE);
        let right = buffer("b", bytemuck::cast_slice(b), wgpu::BufferUsages::STORAGE);
        let size = (m * n * 4) as u64;
        let empty = |label, usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let result = empty("c", wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let host = empty("host", wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
        let bind = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("product"),
            layout: &self.product.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: shape_buffer.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: left.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 2, resource: right.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 3, resource: result.as_entire_binding() },
            ],
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.product);
            pass.set_bind_group(0, &bind, &[]);
            pass.dispatch_workgroups(shape[2].div_ceil(16), shape[0].div_ceil(16), 1);
        }
        encoder.copy_buffer_to_buffer(&result, 0, &host, 0, size);
        self.queue.submit([encoder.finish()]);
        let mapped = Arc::new(Mutex::new(None));
        let told = Arc::clone(&mapped);
        host.map_async(wgpu::MapMode::Read, .., move |answer| {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.map_err(|error| error.to_string()));
        });
        let waited = self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout: None });
        waited.map_err(|error| GpuError::Failed(error.to_string()))?;
        self.check()?;
        let answer = mapped.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.unwrap_or_else(|| Err("the result was never mapped".into())).map_err(GpuError::Failed)?;
        let view = host.get_mapped_range(..).map_err(|error| GpuError::Failed(error.to_string()))?;
        let values = bytemuck::pod_collect_to_vec(&view);
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::random::Stream;

    #[test]
    fn a_product_on_the_gpu_is_that_of_the_cpu_for_shapes_that_fill_no_tile() {
        let gpu = match Gpu::shared() {
            Ok(gpu) => gpu,
            Err(error) => {
                println!("skipped: {error}");
                return;
            }
        };
        println!("on {}", gpu.adapter());
        let mut stream = Stream::new(1);
        for (m, k, n) in [(1, 1, 1), (16, 16, 16), (17, 33, 5), (3, 100, 40), (64, 56, 8)] {
            let mut random = |count: usize| (0..count).map(|_| stream.normal() as f32).collect::<Vec<_>>();
            let (a, b) = (random(m * k), random(k * n));
            let (found, expected) = (gpu.matmul(&a, &b, m, k, n).unwrap(), crate::mlp::matmul(&a, &b, m, k, n));
            let worst = found.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{m} × {k} × {n}: {worst}");
        }
        assert!(gpu.matmul(&[1.0], &[1.0], 2, 1, 1).is_err());
    }
}
