//! Small pictures in a terminal.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A line of bars, one for each of `width` parts of the values: its mean between the smallest and largest value. A part without a finite value is a space.
pub(super) fn sparkline(values: &[f64], width: usize) -> String {
    let parts = width.min(values.len()).max(1);
    let means: Vec<Option<f64>> = (0..parts)
        .map(|part| {
            let range = part * values.len() / parts..(part + 1) * values.len() / parts;
            let finite: Vec<f64> = values.get(range).unwrap_or(&[]).iter().copied().filter(|value| value.is_finite()).collect();
            (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
        })
        .collect();
    let least = means.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let most = means.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |mean: &Option<f64>| match mean {
        None => ' ',
        Some(_) if most <= least => BARS[3],
        Some(mean) => BARS[(((mean - least) / (most - least)) * 7.0).round().clamp(0.0, 7.0) as usize],
    };
    means.iter().map(bar).collect()
}

/// How many of some times lie in each of `width` parts of a span, as bars; nothing is a space.
pub(super) fn density(times: &[f64], (start, end): (f64, f64), width: usize) -> String {
    let mut counts = vec![0usize; width];
    for time in times.iter().filter(|time| (start..=end).contains(*time)) {
        let part = ((time - start) / (end - start).max(f64::MIN_POSITIVE) * width as f64) as usize;
        if let Some(count) = counts.get_mut(part.min(width.saturating_sub(1))) {
            *count += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    counts.iter().map(|&count| if count == 0 { ' ' } else { BARS[(count * 7).div_ceil(most).min(7)] }).collect()
}

/// A number with what matters of it: `160`, `0.25`, `124.994`, `1.2e-5`.
pub(super) fn short(number: f64) -> String {
    let text = neuroflow_data::short_number(number);
    match text.contains('.') && !text.contains(['e', 'E']) {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A text of at most so many letters in one line. Blanks stay as many as they are: `S  1` and `S 1` are two labels.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let text = text.trim_end().replace(['\n', '\r', '\t'], " ");
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A whole number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_bars() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[1.0, f64::NAN, 3.0], 3), "▁ █");
        assert_eq!(sparkline(&[2.0, 2.0], 8), "▄▄");
        assert_eq!(sparkline(&[], 8), " ");
        assert_eq!(density(&[0.0, 0.1, 9.9], (0.0, 10.0), 4), "█  ▅");
        assert_eq!((grouped(1), grouped(1234567)), ("1".into(), "1,234,567".into()));
        assert_eq!(shortened("a  b\nc", 4), "a  b…");
        assert_eq!([160.0, 0.25, 100.0, 124.994, -3.5].map(short), ["160", "0.25", "100", "124.994", "-3.5"]);
    }
}
