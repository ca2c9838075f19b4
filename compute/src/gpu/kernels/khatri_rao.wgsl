// One thread an element: row (i, j) is the element-wise product of row i of the first and row j of the second factor.
struct KhatriRao { count: u32, others: u32, columns: u32 }
@group(0) @binding(0) var<uniform> sizes: KhatriRao;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> product: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= sizes.count) { return; }
    let row = place / sizes.columns;
    let column = place % sizes.columns;
    product[place] = a[(row / sizes.others) * sizes.columns + column] * b[(row % sizes.others) * sizes.columns + column];
}
