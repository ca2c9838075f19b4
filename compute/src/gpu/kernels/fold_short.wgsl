// One thread a row, for rows of few elements: the {{combine}} of the elements, in their order.
struct Fold { rows: u32, columns: u32 }
@group(0) @binding(0) var<uniform> fold: Fold;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> folded: array<f32>;
{{functions}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = (group.y * groups.x + group.x) * 256u + thread;
    if (row >= fold.rows) { return; }
    let first = row * fold.columns;
    let end = first + fold.columns;
    var value = {{start}};
    for (var place = first; place < end; place++) { value = {{combine}}(value, {{element}}); }
    folded[row] = value;
}
