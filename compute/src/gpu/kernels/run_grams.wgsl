// One workgroup a run and pair of its components: the inner product of their columns.
struct Grams { size: u32, components: u32, runs: u32, unused: u32 }
@group(0) @binding(0) var<uniform> grams: Grams;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<storage, read_write> gram: array<f32>;
{{functions}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    {{builtins}}
) {
    let place = group.y * groups.x + group.x;
    if (place >= grams.runs * grams.components * grams.components) { return; }
    let width = grams.runs * grams.components;
    let run = place / (grams.components * grams.components);
    let left = run * grams.components + (place / grams.components) % grams.components;
    let right = run * grams.components + place % grams.components;
    var sum = 0.0;
    for (var row = thread; row < grams.size; row += 256u) { sum = fma(factor[row * width + left], factor[row * width + right], sum); }
    let total = of_all(sum, {{lane}});
    if (thread == 0u) { gram[place] = total; }
}
