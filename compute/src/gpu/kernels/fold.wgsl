// One workgroup a row: the {{combine}} of its elements. Rows may be parts of one long array, the last of them shorter.
struct Fold { rows: u32, columns: u32, row_step: u32, limit: u32 }
@group(0) @binding(0) var<uniform> fold: Fold;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> folded: array<f32>;
{{functions}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    {{builtins}}
) {
    let row = group.y * groups.x + group.x;
    if (row >= fold.rows) { return; }
    let first = row * fold.row_step;
    let end = min(first + fold.columns, fold.limit);
    var value = {{start}};
    for (var place = first + thread; place < end; place += 256u) { value = {{combine}}(value, {{element}}); }
    let result = of_all(value, {{lane}});
    if (thread == 0u) { folded[row] = result; }
}
