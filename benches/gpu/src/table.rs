//! One line a case, for people or for programs.

use neuroflow_compute::gpu::Gpu;

use crate::cases::{Case, Measured};
use crate::limits::Limits;
use crate::overlap::Overlap;

pub(crate) fn head(gpu: &Gpu, limits: &Limits, json: bool) {
    let abilities = gpu.abilities();
    if json {
        println!(
            "{{\"adapter\": {:?}, \"subgroups\": {}, \"half\": {}, \"timestamps\": {}, \"gflops\": {:.1}, \"gbytes\": {:.1}}}",
            gpu.adapter().to_string(),
            abilities.subgroups,
            abilities.half,
            abilities.timestamps,
            limits.operations / 1e9,
            limits.bytes / 1e9
        );
        return;
    }
    println!("\n{}", gpu.adapter());
    println!(
        "limits as measured: {:.1} GFLOP/s by multiply-adds in registers, {:.1} GB/s by a copy; subgroups {}, half precision {}, times by the {}",
        limits.operations / 1e9,
        limits.bytes / 1e9,
        said(abilities.subgroups),
        said(abilities.half),
        if abilities.timestamps { "device" } else { "host" },
    );
    println!("{:<38} {:>11} {:>11} {:>9} {:>10} {:>10}", "case", "time", "GFLOP/s", "GB/s", "arithmetic", "memory");
}

fn said(there: bool) -> &'static str {
    if there { "yes" } else { "no" }
}

pub(crate) fn line(gpu: &Gpu, limits: &Limits, case: &Case, measured: &Measured, json: bool) {
    let (operations, bytes) = (case.operations / measured.seconds, case.bytes / measured.seconds);
    if json {
        println!(
            "{{\"adapter\": {:?}, \"case\": {:?}, \"seconds\": {:.9}, \"gflops\": {:.3}, \"gbytes\": {:.3}, \"by_device\": {}}}",
            gpu.adapter().name,
            case.name,
            measured.seconds,
            operations / 1e9,
            bytes / 1e9,
            measured.by_device
        );
        return;
    }
    println!(
        "{:<38} {:>8.3} ms {:>11.2} {:>9.2} {:>9.1}% {:>9.1}%{}",
        case.name,
        measured.seconds * 1e3,
        operations / 1e9,
        bytes / 1e9,
        100.0 * operations / limits.operations,
        100.0 * bytes / limits.bytes,
        if measured.by_device { "" } else { "  (by the host)" }
    );
}

pub(crate) fn overlap(gpu: &Gpu, found: &Overlap, json: bool) {
    let Overlap { bytes, products, upload, kernels, both } = found;
    if json {
        println!(
            "{{\"adapter\": {:?}, \"case\": \"overlap\", \"bytes\": {bytes}, \"products\": {products}, \"upload\": {upload:.9}, \"kernels\": {kernels:.9}, \"both\": {both:.9}, \"hidden\": {:.3}}}",
            gpu.adapter().name,
            found.hidden()
        );
        return;
    }
    println!(
        "sending {:.0} MB {:.3} ms, {products} products {:.3} ms, both at once {:.3} ms: {:.0} % of the shorter one beside the longer one  (by the host)",
        *bytes as f64 / 1e6,
        upload * 1e3,
        kernels * 1e3,
        both * 1e3,
        100.0 * found.hidden()
    );
}
