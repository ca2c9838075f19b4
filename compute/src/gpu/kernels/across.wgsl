// One thread a column and group of rows: the sum of the rows of the group, in their order.
struct Across { groups: u32, columns: u32, rows_of_one: u32, rows: u32 }
@group(0) @binding(0) var<uniform> across: Across;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= across.groups * across.columns) { return; }
    let first = (place / across.columns) * across.rows_of_one;
    let end = min(first + across.rows_of_one, across.rows);
    var sum = 0.0;
    for (var row = first; row < end; row++) { sum += x[row * across.columns + place % across.columns]; }
    sums[place] = sum;
}
