// One thread a row of a factor and run: its components one after the other, each by its least-squares step, at least `floor`.
struct Hals { size: u32, components: u32, runs: u32, floor: f32 }
@group(0) @binding(0) var<uniform> hals: Hals;
@group(0) @binding(1) var<storage, read> product: array<f32>;
@group(0) @binding(2) var<storage, read> gram_a: array<f32>;
@group(0) @binding(3) var<storage, read> gram_b: array<f32>;
@group(0) @binding(4) var<storage, read_write> factor: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= hals.size * hals.runs) { return; }
    let run = place % hals.runs;
    let first = place * hals.components;
    for (var component = 0u; component < hals.components; component++) {
        let line = (run * hals.components + component) * hals.components;
        let diagonal = gram_a[line + component] * gram_b[line + component];
        if (diagonal > 0.0) {
            var model = 0.0;
            for (var other = 0u; other < hals.components; other++) {
                model = fma(factor[first + other], gram_a[line + other] * gram_b[line + other], model);
            }
            factor[first + component] = max(factor[first + component] + (product[first + component] - model) / diagonal, hals.floor);
        }
    }
}
