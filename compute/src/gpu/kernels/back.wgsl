// One thread a hidden unit of an observation: units that were off, by ReLU or dropout, pass nothing back; those that were on pass dropout's factor.
struct Back { count: u32, factor: f32 }
@group(0) @binding(0) var<uniform> back: Back;
@group(0) @binding(1) var<storage, read> passed: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= back.count) { return; }
    gradient[place] = select(0.0, gradient[place] * back.factor, passed[place] > 0.0);
}
