// One workgroup a system: A = UᵀU in place of the upper triangle, a row of U at a time, and the smallest pivot as a share of its variance.
// Rows `first` to `last` in one call, after those before them. A pivot that is not positive leaves a share that is not positive, and numbers that nobody reads.
struct Cholesky { size: u32, systems: u32, first: u32, last: u32 }
@group(0) @binding(0) var<uniform> cholesky: Cholesky;
@group(0) @binding(1) var<storage, read> variances: array<f32>;
@group(0) @binding(2) var<storage, read_write> matrices: array<f32>;
@group(0) @binding(3) var<storage, read_write> least: array<f32>;
@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let system = group.y * groups.x + group.x;
    if (system >= cholesky.systems) { return; }
    let size = cholesky.size;
    let origin = system * size * size;
    var smallest = select(least[system], 1.0, cholesky.first == 0u);
    for (var step = cholesky.first; step < cholesky.last; step++) {
        let row = origin + step * size;
        let pivot = matrices[row + step];
        let share = pivot / variances[system * size + step];
        // A NaN is not positive either.
        smallest = select(-1.0, min(smallest, share), share > 0.0 && pivot > 0.0 && smallest > 0.0);
        let factor = select(0.0, inverseSqrt(pivot), pivot > 0.0);
        storageBarrier();
        for (var column = step + thread; column < size; column += 256u) { matrices[row + column] *= factor; }
        storageBarrier();
        for (var other = step + 1u + local.y; other < size; other += 16u) {
            let of_row = matrices[row + other];
            let start = origin + other * size;
            for (var column = other + local.x; column < size; column += 16u) {
                matrices[start + column] = fma(-of_row, matrices[row + column], matrices[start + column]);
            }
        }
        storageBarrier();
    }
    if (thread == 0u) { least[system] = smallest; }
}
