// One thread a row, for rows of few columns: exponentials over their sum, the largest element taken away first.
struct Softmax { rows: u32, columns: u32 }
@group(0) @binding(0) var<uniform> softmax: Softmax;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> shares: array<f32>;
{{functions}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = (group.y * groups.x + group.x) * 256u + thread;
    if (row >= softmax.rows) { return; }
    let first = row * softmax.columns;
    let end = first + softmax.columns;
    var most = x[first];
    for (var place = first; place < end; place++) { most = larger(most, x[place]); }
    var total = 0.0;
    for (var place = first; place < end; place++) {
        let share = exp(x[place] - most);
        shares[place] = share;
        total += share;
    }
    for (var place = first; place < end; place++) { shares[place] = shares[place] / total; }
}
