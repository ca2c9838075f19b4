// Multiply-adds in registers, so that nothing but arithmetic takes time: eight chains of four numbers, `rounds` times 32 steps of each.
struct Probe { rounds: u32 }
@group(0) @binding(0) var<uniform> probe: Probe;
@group(0) @binding(1) var<storage, read_write> kept: array<f32>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let place = group.x * 256u + thread;
    let start = f32(place) * 1e-6;
    let factor = vec4<f32>(0.999 + start * 1e-3);
    {{start}}
    for (var round = 0u; round < probe.rounds; round++) {
        {{steps}}
    }
    let sum = {{sum}};
    kept[place] = sum.x + sum.y + sum.z + sum.w;
}
