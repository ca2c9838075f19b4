// One thread an element: rows of a matrix times the factors of one system.
struct Weigh { system: u32, rows: u32, columns: u32 }
@group(0) @binding(0) var<uniform> weigh: Weigh;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> factors: array<f32>;
@group(0) @binding(3) var<storage, read_write> weighted: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= weigh.rows * weigh.columns) { return; }
    weighted[place] = factors[weigh.system * weigh.rows + place / weigh.columns] * x[place];
}
