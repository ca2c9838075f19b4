use super::*;
use proptest::prelude::*;

/// Nearly normal noise, which `stages/ingest/tests/reference/deconvolve.py` makes too.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    (0..n).map(|_| (0..12).map(|_| uniform()).sum()).collect()
}

fn trace(g: &[f64], n: usize, deviation: f64, baseline: f64) -> Vec<f64> {
    let mut calcium: Vec<f64> = Vec::with_capacity(n);
    for at in 0..n {
        let spike = if at % 23 == 5 || at % 37 == 20 { 1.0 + (at % 3) as f64 * 0.5 } else { 0.0 };
        let past: f64 = g.iter().enumerate().filter(|(lag, _)| at > *lag).map(|(lag, g)| g * calcium[at - 1 - lag]).sum();
        calcium.push(spike + past);
    }
    calcium.iter().zip(noise(7, n)).map(|(calcium, noise)| baseline + calcium + deviation * noise).collect()
}

fn near(found: &[f64], expected: &[f64], tolerance: f64) {
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance, "{at}: {found} {expected}");
    }
}

const ZERO: Offset = Offset::Known(0.0);

fn penalty(lambda: f64) -> Sparsity {
    Sparsity::Penalty { lambda, least: 0.0 }
}

#[test]
fn order_one_has_the_spikes_of_oasis() {
    // oasis-deconv 0.3.2: oasisAR1 with lam = 0.3, lam = 0 (what Suite2p does), s_min = 0.6, and constrained_oasisAR1 with sn = 0.2, b = 0.
    let y = trace(&[0.9], 120, 0.2, 0.0);
    let of = |sparsity| deconvolve(&y, Decay::First(0.9), ZERO, sparsity).unwrap();
    near(&of(penalty(0.3)).spikes, &PENALISED, 1e-12);
    near(&of(penalty(0.0)).spikes, &SUITE2P, 1e-12);
    near(&of(Sparsity::Penalty { lambda: 0.0, least: 0.6 }).spikes, &LEAST, 1e-12);
    // constrained_oasisAR1 with sn = 0.2 stops at λ = 1.1352 and a residual of 4.8033 instead of 4.8: at its λ the spikes are the same.
    near(&of(penalty(1.135_197_842_260_752_3)).spikes, &CONSTRAINED, 1e-12);
    let constrained = of(Sparsity::Noise(0.2));
    assert!((residual(&y, &constrained) - 4.8).abs() < 1e-8 && (constrained.penalty - 1.1352).abs() < 0.005, "{}", constrained.penalty);
}

#[test]
fn a_free_baseline_is_that_of_oasis() {
    // oasis-deconv 0.3.2: constrained_oasisAR1(y, 0.9, 0.2, optimize_b=True) stops at a residual of 15.9985 instead of 16.
    let y = trace(&[0.9], 400, 0.2, 3.0);
    let found = deconvolve(&y, Decay::First(0.9), Offset::Free, Sparsity::Noise(0.2)).unwrap();
    assert!((found.baseline - 3.147_919_647_470_841).abs() < 1e-2, "{}", found.baseline);
    assert!((found.penalty - 0.480_057_287_799_043).abs() < 0.1, "{}", found.penalty);
    assert!((found.spikes.iter().sum::<f64>() - 37.822_664_212_621_26).abs() < 0.5);
    assert!((residual(&y, &found) - 16.0).abs() < 1e-6);
}

#[test]
fn order_two_has_the_spikes_of_an_active_set_method() {
    // oasis-deconv 0.3.2: onnls(y, [1.6, -0.64], lam=0.5), whose windows of 200 samples hold the whole trace.
    let y = trace(&[1.6, -0.64], 150, 0.2, 0.0);
    let found = deconvolve(&y, Decay::Second(1.6, -0.64), ZERO, penalty(0.5)).unwrap();
    near(&found.spikes, &SECOND, 1e-6);
}

#[test]
fn noise_and_decay_are_those_of_oasis() {
    // oasis-deconv 0.3.2: estimate_parameters(y, p, fudge_factor=0.98).
    let first = trace(&[0.9], 2000, 0.2, 1.0);
    let noise = noise_from_spectrum(&first).unwrap();
    assert!((noise - 0.316_071_442_378_831_2).abs() < 1e-12, "{noise}");
    let Decay::First(g) = decay_coefficients(&first, 1, noise, 0.98).unwrap() else { panic!("order 1") };
    assert!((g - 0.797_135_026_465_351_5).abs() < 1e-10, "{g}");
    let second = trace(&[1.6, -0.63], 2000, 0.2, 1.0);
    let noise = noise_from_spectrum(&second).unwrap();
    assert!((noise - 0.258_249_306_507_260_3).abs() < 1e-12, "{noise}");
    let Decay::Second(a, b) = decay_coefficients(&second, 2, noise, 0.98).unwrap() else { panic!("order 2") };
    assert!((a - 1.734_025_917_832_307_6).abs() < 1e-9 && (b + 0.751_711_470_928_544_2).abs() < 1e-9, "{a} {b}");
}

fn residual(trace: &[f64], found: &Deconvolved) -> f64 {
    trace.iter().zip(&found.calcium).map(|(value, calcium)| (value - found.baseline - calcium).powi(2)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn solutions_meet_the_conditions_of_the_optimum(seed in 1u64..500, n in 3usize..120, g in 0.2f64..0.97, lambda in 0.0f64..2.0, second in any::<bool>()) {
        let y: Vec<f64> = noise(seed, n).iter().enumerate().map(|(at, noise)| noise + if at % 9 == 3 { 3.0 } else { 0.0 }).collect();
        let (decay, coefficients) = if second { (Decay::Second(g + 0.1, -0.1 * g), [g + 0.1, -0.1 * g]) } else { (Decay::First(g), [g, 0.0]) };
        let found = deconvolve(&y, decay, ZERO, penalty(lambda)).unwrap();
        // c follows from s, s ≥ 0, and the correlation of what is left with each response is at most λ, and λ where there is a spike.
        let mut expected = vec![0.0; n];
        for at in 0..n {
            let spike = if at == 0 { found.calcium[0] } else { found.spikes[at] };
            expected[at] = spike + (1..=2).filter(|lag| at >= *lag).map(|lag| coefficients[lag - 1] * expected[at - lag]).sum::<f64>();
            prop_assert!(spike >= 0.0);
        }
        for (expected, found) in expected.iter().zip(&found.calcium) {
            prop_assert!((expected - found).abs() < 1e-7);
        }
        let (mut next, mut after) = (0.0, 0.0);
        for at in (0..n).rev() {
            let here = y[at] - found.calcium[at] + coefficients[0] * next + coefficients[1] * after;
            (after, next) = (next, here);
            prop_assert!(here <= lambda + 1e-5, "{} {}", here, lambda);
            let spike = if at == 0 { found.calcium[0] } else { found.spikes[at] };
            if spike > 1e-4 {
                prop_assert!((here - lambda).abs() < 1e-4, "{} {} {}", here, lambda, spike);
            }
        }
    }

    #[test]
    fn the_noise_is_left_where_it_can_be(seed in 1u64..500, level in 0.05f64..1.2, second in any::<bool>(), free in any::<bool>()) {
        let y: Vec<f64> = trace(&[0.9], 150, 0.0, 0.5).iter().zip(noise(seed, 150)).map(|(value, noise)| value + 0.3 * noise).collect();
        let decay = if second { Decay::Second(1.1, -0.2) } else { Decay::First(0.9) };
        let offset = if free { Offset::Free } else { Offset::Known(0.5) };
        let found = deconvolve(&y, decay, offset, Sparsity::Noise(level)).unwrap();
        let left = residual(&y, &found);
        let target = level * level * 150.0;
        let nothing = found.spikes.iter().all(|spike| *spike < 1e-6);
        prop_assert!((left - target).abs() < 1e-4 * target || (left > target && found.penalty < 1e-6) || (left < target && nothing), "{} {} {}", left, target, found.penalty);
    }
}

#[test]
fn planted_spikes_are_found_with_noise_a_fifth_of_a_spike() {
    let n = 5000;
    let mut truth = vec![0.0; n];
    let mut state = 12345u64;
    for spike in &mut truth {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *spike = if (state >> 40).is_multiple_of(60) { 1.0 } else { 0.0 };
    }
    let mut calcium = 0.0;
    let y: Vec<f64> = truth
        .iter()
        .zip(noise(3, n))
        .map(|(spike, noise)| {
            calcium = 0.95 * calcium + spike;
            2.0 + calcium + 0.2 * noise
        })
        .collect();
    let noise = noise_from_spectrum(&y).unwrap();
    let found = deconvolve(&y, decay_coefficients(&y, 1, noise, 0.98).unwrap(), Offset::Free, Sparsity::Noise(noise)).unwrap();
    // Spikes are found within a sample: smooth both by a small Gaussian before they are compared.
    let smooth = |values: &[f64]| crate::signal::gaussian_smoothed(values, 1.0).unwrap();
    let r = crate::statistics::pearson(&smooth(&truth), &smooth(&found.spikes)).unwrap();
    assert!(r > 0.9, "{r}");
    let raw = crate::statistics::pearson(&truth, &found.spikes).unwrap();
    assert!(raw > 0.75, "{raw}");
}

#[test]
fn what_is_no_trace_or_model_is_refused() {
    let flat = [1.0; 50];
    let refused = |decay, offset, sparsity| deconvolve(&flat, decay, offset, sparsity).unwrap_err().to_string();
    assert!(refused(Decay::First(1.0), ZERO, penalty(0.0)).contains("between 0 and 1"));
    assert!(refused(Decay::Second(1.0, 0.5), ZERO, penalty(0.0)).contains("no sum of two decays"));
    assert!(refused(Decay::First(0.5), Offset::Free, penalty(0.0)).contains("give the baseline"));
    assert!(refused(Decay::First(0.5), ZERO, Sparsity::Noise(f64::NAN)).contains("standard deviation of 0 or more"));
    assert!(refused(Decay::Second(1.0, -0.2), ZERO, Sparsity::Penalty { lambda: 0.0, least: 1.0 }).contains("order 1 only"));
    assert!(deconvolve(&[1.0, 2.0], Decay::First(0.5), ZERO, penalty(0.0)).is_err());
    assert!(deconvolve(&[1.0, f64::NAN, 2.0], Decay::First(0.5), ZERO, penalty(0.0)).is_err());
    assert!(decay_coefficients(&flat, 1, 0.0, 1.0).unwrap_err().to_string().contains("does not vary"));
    assert!(decay_coefficients(&flat, 3, 0.0, 1.0).is_err() && noise_from_spectrum(&flat[..10]).is_err());
    let zeros = deconvolve(&[0.0; 40], Decay::Second(1.0, -0.2), Offset::Free, Sparsity::Noise(0.1)).unwrap();
    assert!(zeros.spikes.iter().all(|spike| *spike == 0.0));
}

const PENALISED: [f64; 40] = [
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    1.9947572370678026,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.007478463199250163,
    0.0,
    0.004503584645149217,
    0.0,
    0.05263874129683743,
    0.0,
    0.0,
    0.0,
    0.15946190149094253,
    1.6946738075674093,
    0.16132936916128093,
    0.0,
    0.02626587973340544,
    0.0,
    0.0,
    0.0,
    0.2610669390357112,
    1.1686270408956758,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
];
const SUITE2P: [f64; 40] = [
    0.0,
    0.0,
    0.0,
    0.013416755477978253,
    0.0,
    2.0211095123203133,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.019190023096105735,
    0.0,
    0.010487010059513913,
    0.0,
    0.0615486654646803,
    0.0,
    0.0,
    0.0,
    0.166880112951603,
    1.697673807567409,
    0.16582108186846378,
    0.0,
    0.03517580390124864,
    0.0,
    0.0,
    0.0,
    0.2684851504963719,
    1.1921287005375598,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
];
const LEAST: [f64; 40] = [
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    2.0668354048161492,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    2.0812092849700092,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    1.453174002485453,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
];
const CONSTRAINED: [f64; 40] = [
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    1.8804314742677697,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.005236140046067983,
    0.0,
    0.0,
    0.0,
    0.1388096541396835,
    1.6863218291448012,
    0.1488244732909687,
    0.0,
    0.0014607149344409986,
    0.0,
    0.0,
    0.0,
    0.24041469168445206,
    1.0980266056701098,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
];
const SECOND: [f64; 40] = [
    0.0,
    0.0,
    0.0,
    0.006324264783010847,
    0.0,
    1.9839056248459421,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.027821535599370506,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.17399367733574422,
    1.6501379322473326,
    0.20482005051516697,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.3024716884444842,
    1.150248992644947,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
];
