// {{combine}} of the values of all 256 threads of a workgroup, known to each of them. Within a subgroup no memory is needed.
var<workgroup> parts: array<f32, 256>;
fn of_all(value: f32, lane: u32, subgroup: u32, subgroups: u32) -> f32 {
    {{within}}
    if (lane == 0u) { parts[subgroup] = inside; }
    workgroupBarrier();
    var result = parts[0];
    for (var other = 1u; other < subgroups; other++) { result = {{combine}}(result, parts[other]); }
    workgroupBarrier();
    return result;
}
