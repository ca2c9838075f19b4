fn added(a: f32, b: f32) -> f32 { return a + b; }
// Bits, not `a != a`, which a compiler may take for false.
fn is_nan(a: f32) -> bool { return (bitcast<u32>(a) & 0x7fffffffu) > 0x7f800000u; }
// The larger; NaN when one of them is.
fn larger(a: f32, b: f32) -> f32 {
    if (is_nan(a)) { return a; }
    if (is_nan(b)) { return b; }
    return max(a, b);
}
