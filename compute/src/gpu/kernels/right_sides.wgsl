// One thread a system, class and feature: the class means as right sides, and times the root of their weight.
struct Sides { systems: u32, classes: u32, features: u32 }
@group(0) @binding(0) var<uniform> sides: Sides;
@group(0) @binding(1) var<storage, read> means: array<f32>;
@group(0) @binding(2) var<storage, read> roots: array<f32>;
@group(0) @binding(3) var<storage, read_write> scaled: array<f32>;
@group(0) @binding(4) var<storage, read_write> right: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    let of_one = sides.classes * sides.features;
    if (place >= sides.systems * of_one) { return; }
    let row = place / sides.features;
    scaled[place] = roots[row] * means[place];
    let feature = place % sides.features;
    right[(place / of_one) * of_one + feature * sides.classes + row % sides.classes] = means[place];
}
