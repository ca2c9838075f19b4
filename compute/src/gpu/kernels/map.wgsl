// One thread an element.
{{enable}}
struct Map { count: u32, unused: u32, scale: f32, shift: f32 }
@group(0) @binding(0) var<uniform> map: Map;
@group(0) @binding(1) var<storage, read> x: array<f32>;
{{second}}
@group(0) @binding({{out}}) var<storage, read_write> mapped: array<{{type}}>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= map.count) { return; }
    mapped[place] = {{expression}};
}
