// One thread a feature: how many permutations reach what was observed, but for rounding, added to those counted before.
struct Exceed { permutations: u32, features: u32, slack: f32 }
@group(0) @binding(0) var<uniform> exceed: Exceed;
@group(0) @binding(1) var<storage, read> shares: array<f32>;
@group(0) @binding(2) var<storage, read> observed: array<f32>;
@group(0) @binding(3) var<storage, read_write> counts: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let feature = (group.y * groups.x + group.x) * 256u + thread;
    if (feature >= exceed.features) { return; }
    let least = observed[feature] - exceed.slack * (observed[feature] + exceed.slack);
    var count = counts[feature];
    for (var permutation = 0u; permutation < exceed.permutations; permutation++) {
        count += select(0.0, 1.0, shares[permutation * exceed.features + feature] >= least);
    }
    counts[feature] = count;
}
