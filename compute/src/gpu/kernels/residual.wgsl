// One workgroup a run and part of the tensor: the sum of the squared differences between the tensor and the run's model.
struct Residual { elements: u32, columns: u32, depth: u32, components: u32, runs: u32, parts: u32, part: u32 }
@group(0) @binding(0) var<uniform> residual: Residual;
@group(0) @binding(1) var<storage, read> tensor: array<f32>;
@group(0) @binding(2) var<storage, read> factor_a: array<f32>;
@group(0) @binding(3) var<storage, read> factor_b: array<f32>;
@group(0) @binding(4) var<storage, read> factor_c: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;
{{functions}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    {{builtins}}
) {
    let place = group.y * groups.x + group.x;
    if (place >= residual.runs * residual.parts) { return; }
    let run = place / residual.parts;
    let width = residual.components * residual.runs;
    let first = (place % residual.parts) * residual.part;
    let end = min(first + residual.part, residual.elements);
    var sum = 0.0;
    for (var element = first + thread; element < end; element += 256u) {
        let k = element % residual.depth;
        let j = (element / residual.depth) % residual.columns;
        let i = element / (residual.depth * residual.columns);
        let shift = run * residual.components;
        var model = 0.0;
        for (var component = 0u; component < residual.components; component++) {
            let at = shift + component;
            model = fma(factor_a[i * width + at] * factor_b[j * width + at], factor_c[k * width + at], model);
        }
        let difference = tensor[element] - model;
        sum = fma(difference, difference, sum);
    }
    let total = of_all(sum, {{lane}});
    if (thread == 0u) { sums[place] = total; }
}
