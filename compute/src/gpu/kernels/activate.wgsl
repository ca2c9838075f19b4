// One thread a hidden unit of an observation: bias, ReLU, and dropout by a hash of the unit's number, which the CPU computes alike.
struct Activate { count: u32, units: u32, key: u32, threshold: u32, factor: f32 }
@group(0) @binding(0) var<uniform> activate: Activate;
@group(0) @binding(1) var<storage, read> biases: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
// Mixes all bits into all bits: an xorshift and multiply hash (Wellons 2018, 0x7feb352d and 0x846ca68b).
fn mixed(bits: u32) -> u32 {
    var x = bits;
    x = (x ^ (x >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= activate.count) { return; }
    let value = max(values[place] + biases[place % activate.units], 0.0);
    let draw = mixed(mixed(place ^ activate.key) + activate.key) >> 8u;
    values[place] = select(0.0, value * activate.factor, draw >= activate.threshold);
}
