//! An open device: which adapter, what it can do, its kernels, and how its failures become values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::adapter::{Adapter, all, describe, preference};
use super::error::GpuError;
use super::pool::{Lease, Pool, Use};

/// Which adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// The fastest graphics card; no program that plays one.
    Hardware,
    /// The fastest graphics card, or where there is none a program that plays one.
    #[default]
    Any,
    /// The one of this place in [`super::adapters`].
    Number(usize),
}

/// How a device is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which adapter.
    pub which: Which,
    /// Whether kernels that exchange values within a subgroup are used where the adapter has them.
    pub subgroups: bool,
    /// Whether half precision in memory is used where the adapter has it.
    pub half: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { which: Which::Any, subgroups: true, half: true }
    }
}

/// What a device can do beyond the least that every one can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Threads of a subgroup exchange values without memory.
    pub subgroups: bool,
    /// Half precision in memory.
    pub half: bool,
    /// The device tells the time at which work began and ended.
    pub timestamps: bool,
}

/// A compiled kernel. Its first binding holds parameters; of the buffers after it, some are written.
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) pipeline: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
    pub(crate) buffers: usize,
}

/// An open device.
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    adapter: Adapter,
    abilities: Abilities,
    limits: wgpu::Limits,
    kernels: Mutex<HashMap<String, Arc<Kernel>>>,
    pool: Arc<Pool>,
    /// Why the device is lost, once it is.
    lost: Arc<OnceLock<String>>,
    /// The first error that no call was waiting for.
    stray: Arc<Mutex<Option<String>>>,
}

/// Bytes of parameters of one kernel call.
pub(crate) const PARAMETERS: u64 = 64;

impl Gpu {
    /// Opens a device.
    ///
    /// # Errors
    /// When no such adapter is there, or it gives no device.
    pub fn open(options: Options) -> Result<Gpu, GpuError> {
        let adapter = choose(options.which)?;
        let wanted = [
            (options.subgroups, wgpu::Features::SUBGROUP),
            (options.half, wgpu::Features::SHADER_F16),
            (true, wgpu::Features::TIMESTAMP_QUERY),
        ];
        let wanted = wanted.iter().filter(|(use_it, _)| *use_it).fold(wgpu::Features::empty(), |all, (_, one)| all | *one);
        let features = adapter.features() & wanted;
        let limits = adapter.limits();
        let descriptor =
            wgpu::DeviceDescriptor { required_features: features, required_limits: limits.clone(), ..wgpu::DeviceDescriptor::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| GpuError::None(error.to_string()))?;
        let stray = Arc::new(Mutex::new(None));
        let told = Arc::clone(&stray);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            told.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
        }));
        let lost = Arc::new(OnceLock::new());
        let told = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, message| {
            // A second call would say no more.
            let _ = told.set(format!("{reason:?}: {message}"));
        });
        let abilities = Abilities {
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            half: features.contains(wgpu::Features::SHADER_F16),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        };
        let (kernels, pool) = (Mutex::default(), Arc::default());
        Ok(Gpu { device, queue, adapter: describe(&adapter), abilities, limits, kernels, pool, lost, stray })
    }

    /// The device of this process, opened once, and opened anew after it was lost.
    ///
    /// # Errors
    /// As [`Gpu::open`]. That there is no adapter is found out once.
    pub fn shared(which: Which) -> Result<Arc<Gpu>, GpuError> {
        type Opened = Vec<(Which, Result<Arc<Gpu>, GpuError>)>;
        static SHARED: Mutex<Opened> = Mutex::new(Vec::new());
        let mut opened = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|(_, gpu)| !gpu.as_ref().is_ok_and(|gpu| gpu.is_lost()));
        if let Some((_, gpu)) = opened.iter().find(|(of, _)| *of == which) {
            return gpu.clone();
        }
        let gpu = Gpu::open(Options { which, ..Options::default() }).map(Arc::new);
        opened.push((which, gpu.clone()));
        gpu
    }

    /// The adapter that it runs on.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// What it can do.
    pub fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// The most bytes that one array on the device may have.
    pub fn largest_array(&self) -> u64 {
        self.limits.max_buffer_size.min(self.limits.max_storage_buffer_binding_size)
    }

    /// Whether the device went away.
    pub fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Gives the device up. What is asked of it afterwards fails with [`GpuError::Lost`].
    pub fn close(&self) {
        self.device.destroy();
        let _ = self.lost.set("it was closed".into());
    }

    /// The most workgroups in one direction.
    pub(crate) fn most_groups(&self) -> u32 {
        self.limits.max_compute_workgroups_per_dimension
    }

    /// Distance of two parameter blocks in one buffer.
    pub(crate) fn parameter_step(&self) -> u64 {
        PARAMETERS.max(u64::from(self.limits.min_uniform_buffer_offset_alignment))
    }

    /// Runs `work` and gives what went wrong in it as an error.
    pub(crate) fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, GpuError> {
        self.check()?;
        let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory];
        let scopes = filters.map(|filter| self.device.push_error_scope(filter));
        let value = work();
        // All scopes have to be closed, the last first.
        let errors: Vec<wgpu::Error> = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).collect();
        self.check()?;
        match errors.into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(value),
        }
    }

    /// Fails when the device is lost, or when something went wrong that no call was waiting for.
    pub(crate) fn check(&self) -> Result<(), GpuError> {
        if let Some(reason) = self.lost.get() {
            return Err(GpuError::Lost(reason.clone()));
        }
        match self.stray.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(message) => Err(GpuError::Failed(message)),
            None => Ok(()),
        }
    }

    /// Memory of at least `bytes`. When it is full, what the pool keeps is freed and the request made once more.
    pub(crate) fn memory(&self, kind: Use, bytes: u64) -> Result<Lease, GpuError> {
        let most = if kind == Use::Kernels { self.largest_array() } else { self.limits.max_buffer_size };
        if bytes > most {
            return Err(GpuError::TooLarge { what: "an array".into(), needed: bytes, most, unit: "bytes" });
        }
        let make = |size: u64, usage| {
            let descriptor = wgpu::BufferDescriptor { label: None, size: size.min(most / 4 * 4), usage, mapped_at_creation: false };
            self.guarded(|| self.device.create_buffer(&descriptor))
        };
        match self.pool.take(kind, bytes, make) {
            Err(GpuError::OutOfMemory(_)) => {
                self.pool.clear();
                self.wait()?;
                self.pool.take(kind, bytes, make).map_err(|error| match error {
                    GpuError::OutOfMemory(reason) => GpuError::OutOfMemory(format!("no {bytes} bytes for an array ({reason})")),
                    other => other,
                })
            }
            taken => taken,
        }
    }

    /// How often memory of the pool was used again, and bytes that it keeps.
    pub fn pool_counts(&self) -> (u64, u64) {
        self.pool.counts()
    }

    /// Waits until all that was sent is done.
    ///
    /// # Errors
    /// When the device fails or is lost.
    pub fn wait(&self) -> Result<(), GpuError> {
        self.wait_for(None)
    }

    pub(crate) fn wait_for(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), GpuError> {
        let waited = self.device.poll(wgpu::PollType::Wait { submission_index, timeout: None });
        self.check()?;
        waited.map(|_| ()).map_err(|error| GpuError::Failed(error.to_string()))
    }

    /// The kernel of a name, compiled once. `written` says for each buffer whether it is written.
    pub(crate) fn kernel(&self, name: &str, source: impl FnOnce() -> String, written: &[bool]) -> Result<Arc<Kernel>, GpuError> {
        if let Some(kernel) = self.kernels.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Arc::clone(kernel));
        }
        let kernel = Arc::new(self.compile(name, source(), written)?);
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::clone(&kernel));
        Ok(kernel)
    }

    fn compile(&self, name: &str, source: String, written: &[bool]) -> Result<Kernel, GpuError> {
        let entry = |binding: usize, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let storage = |(place, written): (usize, &bool)| entry(place + 1, wgpu::BufferBindingType::Storage { read_only: !written }, false);
        let parameters = entry(0, wgpu::BufferBindingType::Uniform, true);
        let entries: Vec<_> = std::iter::once(parameters).chain(written.iter().enumerate().map(storage)).collect();
        self.guarded(|| {
            let source = wgpu::ShaderSource::Wgsl(source.into());
            let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(name), source });
            let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            Kernel { name: name.to_owned(), pipeline, layout, buffers: written.len() }
        })
    }
}

fn choose(which: Which) -> Result<wgpu::Adapter, GpuError> {
    let mut found: Vec<wgpu::Adapter> = all();
    let none = |reason: &str| Err(GpuError::None(reason.to_owned()));
    if let Which::Number(number) = which {
        return match found.len() {
            there if number < there => Ok(found.swap_remove(number)),
            there => none(&format!("there are {there} adapters, number {number} is not among them")),
        };
    }
    if found.is_empty() {
        return none("no adapter of Vulkan, Metal or Direct3D 12 is there; is its driver installed?");
    }
    if which == Which::Hardware {
        found.retain(|adapter| !describe(adapter).software);
    }
    match found.into_iter().min_by_key(preference) {
        Some(adapter) => Ok(adapter),
        None => none("the only adapters are programs that play a graphics card on the CPU"),
    }
}

/// The device for tests; `None`, said plainly, where there is none.
#[cfg(test)]
pub(crate) fn testing() -> Option<Arc<Gpu>> {
    match Gpu::shared(Which::Any) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            assert!(std::env::var_os("NEUROFLOW_TEST_GPU").is_none(), "no GPU for the tests: {error}");
            println!("skipped: {error}");
            None
        }
    }
}

/// Devices for tests with and without what not every adapter has.
#[cfg(test)]
pub(crate) fn testing_all() -> Vec<Arc<Gpu>> {
    let plain = Options { subgroups: false, half: false, ..Options::default() };
    testing().into_iter().chain(Gpu::open(plain).ok().map(Arc::new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_is_said_and_opened_anew() {
        if testing().is_none() {
            return;
        }
        let gpu = Gpu::open(Options::default()).unwrap();
        assert!(!gpu.is_lost() && gpu.wait().is_ok());
        gpu.close();
        let error = gpu.matmul(&[1.0], &[1.0], 1, 1, 1).unwrap_err();
        assert!(matches!(error, GpuError::Lost(_)), "{error}");
        assert!(error.to_string().contains("opens it anew") && error.is_of_the_device());
        // The shared one: lost, then there again.
        let first = Gpu::shared(Which::Number(0)).unwrap();
        assert!(Arc::ptr_eq(&first, &Gpu::shared(Which::Number(0)).unwrap()));
        first.close();
        let second = Gpu::shared(Which::Number(0)).unwrap();
        assert!(!second.is_lost() && second.matmul(&[2.0], &[3.0], 1, 1, 1).unwrap() == [6.0]);
    }

    #[test]
    fn a_device_that_is_not_there_is_refused_with_the_reason() {
        let there = crate::gpu::adapters().len();
        let Err(error) = Gpu::open(Options { which: Which::Number(there), ..Options::default() }) else { panic!("opened") };
        assert!(error.to_string().contains(&format!("number {there} is not among them")), "{error}");
    }

    #[test]
    fn more_than_the_device_takes_is_refused_before_it_is_tried() {
        let Some(gpu) = testing() else { return };
        let bytes = gpu.largest_array() + 4;
        let Err(error) = gpu.memory(Use::Kernels, bytes) else { panic!("allocated") };
        assert!(matches!(&error, GpuError::TooLarge { needed, .. } if *needed == bytes), "{error}");
    }

    #[test]
    fn a_kernel_that_does_not_compile_is_an_error_with_its_place() {
        let Some(gpu) = testing() else { return };
        let Err(error) = gpu.kernel("broken", || "fn main() { nothing(); }".into(), &[]) else { panic!("compiled") };
        assert!(error.to_string().contains("nothing"), "{error}");
        // The device still works.
        assert_eq!(gpu.matmul(&[2.0], &[4.0], 1, 1, 1).unwrap(), [8.0]);
    }
}
