// One workgroup a row: exponentials over their sum, the largest element taken away first.
struct Softmax { rows: u32, columns: u32 }
@group(0) @binding(0) var<uniform> softmax: Softmax;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> shares: array<f32>;
{{functions}}
{{second_functions}}
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    {{builtins}}
) {
    let row = group.y * groups.x + group.x;
    if (row >= softmax.rows) { return; }
    let first = row * softmax.columns;
    var value = x[first];
    for (var column = thread; column < softmax.columns; column += 256u) { value = larger(value, x[first + column]); }
    let most = of_all(value, {{lane}});
    var sum = 0.0;
    for (var column = thread; column < softmax.columns; column += 256u) {
        let share = exp(x[first + column] - most);
        shares[first + column] = share;
        sum += share;
    }
    let total = sum_of_all(sum, {{lane}});
    for (var column = thread; column < softmax.columns; column += 256u) { shares[first + column] = shares[first + column] / total; }
}
