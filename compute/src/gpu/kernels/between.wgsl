// One thread a permutation and feature: the share of the feature's sum of squares that lies between the classes.
struct Between { permutations: u32, classes: u32, features: u32 }
@group(0) @binding(0) var<uniform> between: Between;
@group(0) @binding(1) var<storage, read> class_sums: array<f32>;
@group(0) @binding(2) var<storage, read> inverse_sizes: array<f32>;
@group(0) @binding(3) var<storage, read> inverse_totals: array<f32>;
@group(0) @binding(4) var<storage, read_write> shares: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= between.permutations * between.features) { return; }
    let feature = place % between.features;
    var first = (place / between.features) * between.classes * between.features + feature;
    var sum = 0.0;
    for (var number = 0u; number < between.classes; number++) {
        let of_class = class_sums[first];
        sum = fma(of_class * of_class, inverse_sizes[number], sum);
        first += between.features;
    }
    shares[place] = sum * inverse_totals[feature];
}
