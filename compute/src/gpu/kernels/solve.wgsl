// One thread a system and class: UᵀU w = m in place of the right side, and m·w. First forward from the first row, then backward from the last, some rows in one call.
struct Solve { size: u32, classes: u32, systems: u32, first: u32, last: u32, backward: u32 }
@group(0) @binding(0) var<uniform> solve: Solve;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read_write> right: array<f32>;
@group(0) @binding(4) var<storage, read_write> lengths: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = (group.y * groups.x + group.x) * 256u + thread;
    if (place >= solve.systems * solve.classes) { return; }
    let size = solve.size;
    let factor = (place / solve.classes) * size * size;
    let column = (place / solve.classes) * size * solve.classes + place % solve.classes;
    if (solve.backward == 0u) {
        for (var row = solve.first; row < solve.last; row++) {
            var sum = right[column + row * solve.classes];
            for (var done = 0u; done < row; done++) {
                sum = fma(-factors[factor + done * size + row], right[column + done * solve.classes], sum);
            }
            right[column + row * solve.classes] = sum / factors[factor + row * size + row];
        }
        return;
    }
    var length = select(lengths[place], 0.0, solve.last == size);
    for (var left = solve.last; left > solve.first; left--) {
        let row = left - 1u;
        var sum = right[column + row * solve.classes];
        for (var done = left; done < size; done++) {
            sum = fma(-factors[factor + row * size + done], right[column + done * solve.classes], sum);
        }
        let weight = sum / factors[factor + row * size + row];
        right[column + row * solve.classes] = weight;
        length = fma(means[place * size + row], weight, length);
    }
    lengths[place] = length;
}
