// {{combine}} of the values of all 256 threads of a workgroup, known to each of them. This one has only workgroup memory.
var<workgroup> parts: array<f32, 256>;
fn of_all(value: f32, thread: u32) -> f32 {
    parts[thread] = value;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if (thread < half) { parts[thread] = {{combine}}(parts[thread], parts[thread + half]); }
        workgroupBarrier();
    }
    let result = parts[0];
    workgroupBarrier();
    return result;
}
