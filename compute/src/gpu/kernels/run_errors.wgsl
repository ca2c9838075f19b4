// One workgroup a run: the relative error of its decomposition, from the product of the last mode and the Gram matrices.
struct Errors { elements: u32, components: u32, runs: u32, squared: f32 }
@group(0) @binding(0) var<uniform> errors: Errors;
@group(0) @binding(1) var<storage, read> product: array<f32>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read> gram_a: array<f32>;
@group(0) @binding(4) var<storage, read> gram_b: array<f32>;
@group(0) @binding(5) var<storage, read> gram_c: array<f32>;
@group(0) @binding(6) var<storage, read_write> error: array<f32>;
{{functions}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    {{builtins}}
) {
    let run = group.x;
    let pairs = errors.components * errors.components;
    // Model minus twice the overlap, thread by thread: both are large and alike, so they meet early.
    var sum = 0.0;
    for (var pair = thread; pair < pairs; pair += 256u) {
        let place = run * pairs + pair;
        sum += gram_a[place] * gram_b[place] * gram_c[place];
    }
    for (var element = thread; element < errors.elements; element += 256u) {
        let place = (element / errors.components) * errors.components * errors.runs + run * errors.components + element % errors.components;
        sum = fma(-2.0 * product[place], factor[place], sum);
    }
    let total = of_all(sum, {{lane}});
    if (thread == 0u) { error[run] = sqrt(max(errors.squared + total, 0.0) / errors.squared); }
}
