// One thread an element of some systems: the covariance from its parts, written over the scatter between the classes.
struct Assemble { size: u32, first: u32, systems: u32, has_more: u32 }
@group(0) @binding(0) var<uniform> assemble: Assemble;
@group(0) @binding(1) var<storage, read> total: array<f32>;
@group(0) @binding(2) var<storage, read> shares: array<f32>;
@group(0) @binding(3) var<storage, read> diagonal: array<f32>;
@group(0) @binding(4) var<storage, read> more: array<f32>;
@group(0) @binding(5) var<storage, read_write> matrices: array<f32>;
@group(0) @binding(6) var<storage, read_write> variances: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    let of_one = assemble.size * assemble.size;
    if (place >= assemble.systems * of_one) { return; }
    let system = assemble.first + place / of_one;
    let within = place % of_one;
    let row = within / assemble.size;
    var value = fma(shares[system], total[within], -matrices[system * of_one + within]);
    if (assemble.has_more == 1u) { value += more[place]; }
    if (row == within % assemble.size) {
        value += diagonal[system * assemble.size + row];
        variances[system * assemble.size + row] = value;
    }
    matrices[system * of_one + within] = value;
}
