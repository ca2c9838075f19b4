// One thread a parameter: a step of Adam (Kingma & Ba 2015) with weight decay apart from the gradient.
struct Adam { count: u32, rate: f32, decay: f32, first_left: f32, second_left: f32 }
@group(0) @binding(0) var<uniform> adam: Adam;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= adam.count) { return; }
    let g = gradient[place];
    let one = 0.9 * first[place] + 0.1 * g;
    let two = 0.999 * second[place] + 0.001 * g * g;
    first[place] = one;
    second[place] = two;
    let value = values[place];
    values[place] = value - adam.rate * (one / adam.first_left / (sqrt(two / adam.second_left) + 1e-8) + adam.decay * value);
}
