// One thread an observation: the gradient of the mean cross-entropy after softmax, in the place of the scores.
struct Loss { first: u32, rows: u32, classes: u32 }
@group(0) @binding(0) var<uniform> loss: Loss;
@group(0) @binding(1) var<storage, read> biases: array<f32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = (group.y * groups.x + group.x) * 256u + thread;
    if (row >= loss.rows) { return; }
    let first = row * loss.classes;
    var most = scores[first] + biases[0];
    for (var number = 0u; number < loss.classes; number++) {
        let score = scores[first + number] + biases[number];
        scores[first + number] = score;
        most = max(most, score);
    }
    var total = 0.0;
    for (var number = 0u; number < loss.classes; number++) {
        let share = exp(scores[first + number] - most);
        scores[first + number] = share;
        total += share;
    }
    let label = labels[order[loss.first + row]];
    for (var number = 0u; number < loss.classes; number++) {
        let truth = select(0.0, 1.0, number == label);
        scores[first + number] = (scores[first + number] / total - truth) / f32(loss.rows);
    }
}
