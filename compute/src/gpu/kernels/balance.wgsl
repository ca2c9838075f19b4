// Columns of one factor get unit length, those of another take their scale. One thread an element of either.
struct Balance { size: u32, other_size: u32, components: u32, runs: u32 }
@group(0) @binding(0) var<uniform> balance: Balance;
@group(0) @binding(1) var<storage, read> gram: array<f32>;
@group(0) @binding(2) var<storage, read_write> factor: array<f32>;
@group(0) @binding(3) var<storage, read_write> other: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    let width = balance.components * balance.runs;
    let own = balance.size * width;
    if (place >= own + balance.other_size * width) { return; }
    let column = place % width;
    let square = gram[column * balance.components + column % balance.components];
    let norm = select(1.0, sqrt(square), square > 0.0);
    if (place < own) { factor[place] = factor[place] / norm; } else { other[place - own] = other[place - own] * norm; }
}
