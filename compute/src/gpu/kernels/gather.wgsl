// One thread an element: rows of a matrix in a given order.
struct Gather { first: u32, rows: u32, columns: u32 }
@group(0) @binding(0) var<uniform> gather: Gather;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> gathered: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= gather.rows * gather.columns) { return; }
    let row = order[gather.first + place / gather.columns];
    gathered[place] = x[row * gather.columns + place % gather.columns];
}
