//! `cargo run --release -p bench-gpu`: for each adapter its limits as measured, then each kernel and each whole algorithm with its time on the device, the arithmetic and
//! the memory traffic that it needs at least, and the share of the limits that this is; at the end whether data is sent while kernels run.
//!
//! Arguments: `--large` for the sizes of a graphics card (chosen by itself unless the adapter is a program on the CPU), `--json` for one JSON object a line.

mod cases;
mod limits;
mod overlap;
mod table;

use neuroflow_compute::gpu::{Gpu, GpuError, Options, Which, adapters};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = arguments.iter().find(|argument| !["--large", "--json"].contains(&argument.as_str())) {
        eprintln!("`{unknown}` is not known; there are --large and --json");
        std::process::exit(2);
    }
    let asked = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let found = adapters();
    if found.is_empty() {
        println!("no adapter of Vulkan, Metal or Direct3D 12 is there");
    }
    for (number, adapter) in found.iter().enumerate() {
        let large = asked("--large") || !adapter.software;
        if let Err(error) = measure(number, large, asked("--json")) {
            println!("{adapter}: {error}");
        }
    }
}

fn measure(number: usize, large: bool, json: bool) -> Result<(), GpuError> {
    let gpu = Gpu::open(Options { which: Which::Number(number), ..Options::default() })?;
    let limits = limits::measure(&gpu, large)?;
    table::head(&gpu, &limits, json);
    for case in cases::all(large) {
        match case.measure(&gpu) {
            Ok(measured) => table::line(&gpu, &limits, &case, &measured, json),
            // One case that does not fit leaves the others to be measured.
            Err(error) => println!("{}: {error}", case.name),
        }
    }
    table::overlap(&gpu, &overlap::measure(&gpu, large)?, json);
    Ok(())
}
