// A product of two matrices by tiles: 16 × 16 threads, each with {{rows}} × {{columns}} sums in registers, 16 inner indices at a time in workgroup memory.
// The next tiles are fetched from the device's memory into registers while the present ones are multiplied.
// `z` counts batches and, within them, splits of the inner dimension, whose sums are added by another kernel.
{{enable}}
struct Shape {
    m: u32, k: u32, n: u32, chunk: u32,
    splits: u32, first: u32, a_row: u32, a_inner: u32,
    a_outer: u32, a_batch: u32, b_column: u32, b_inner: u32,
    b_batch: u32, period: u32, unused_0: u32, unused_1: u32,
}
@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> a: array<{{a_type}}>;
@group(0) @binding(2) var<storage, read> b: array<{{b_type}}>;
{{more_bindings}}
@group(0) @binding({{c_binding}}) var<storage, read_write> c: array<f32>;
var<workgroup> tile_a: array<{{a_part}}, {{a_size}}>;
var<workgroup> tile_b: array<{{b_part}}, {{b_size}}>;

{{a_reads}}
{{b_reads}}
@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    {{skip}}
    let z = group.z + shape.first;
    let batch = z / shape.splits;
    let start = (z % shape.splits) * shape.chunk;
    let end = min(start + shape.chunk, shape.k);
    let first_row = group.y * {{tile_rows}}u;
    let first_column = group.x * {{tile_columns}}u;
    {{sums}}
    {{fetched}}
    var inner = start;
    {{fetch}}
    while (inner < end) {
        {{keep}}
        workgroupBarrier();
        inner += 16u;
        {{fetch}}
        {{multiply}}
        workgroupBarrier();
    }
    let origin = z * shape.m * shape.n;
    {{store}}
}
