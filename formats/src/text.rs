//! Texts in headers: bytes of an age before UTF-8, padded fields, dates.

/// UTF-8 if it is, Latin-1 if not.
pub(crate) fn decoded(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => latin1(bytes),
    }
}

/// Latin-1: each byte is the character of its number.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A field padded with blanks or ended by a zero byte.
pub(crate) fn field(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    decoded(bytes.get(..end).unwrap_or_default()).trim().to_owned()
}

/// A number in a field, with a comma or a point; finite.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.trim().replace(',', ".").parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A date and time as `2020-11-24T16:15:00`; `None` when there is no such day.
pub(crate) fn instant(year: i64, month: u32, day: u32, hour: u32, minute: u32, second: f64) -> Option<String> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || !(0.0..61.0).contains(&second) {
        return None;
    }
    let whole = second.floor();
    let micros = ((second - whole) * 1e6).round();
    let fraction = if micros > 0.0 && micros < 1e6 { format!(".{micros:06.0}") } else { String::new() };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{whole:02.0}{fraction}"))
}

/// The date that lies `days` after 1970-01-01, and back.
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    // Years begin in March here, so that the leap day is a year's last; eras of 400 years repeat.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_place = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_place + 2) / 5 + 1;
    let month = if month_place < 10 { month_place + 3 } else { month_place - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

/// Days from 1970-01-01 to a date.
pub(crate) fn days(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_place = (i64::from(month) + 9) % 12;
    let of_year = (153 * month_place + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// The instant that lies so many seconds after 1970, in universal time.
pub(crate) fn since_1970(seconds: f64) -> Option<String> {
    // Beyond the year 9999 a date is damage.
    if !(seconds.is_finite() && (-62_135_596_800.0..253_402_300_800.0).contains(&seconds)) {
        return None;
    }
    let micros = (seconds * 1e6).round();
    let day = (micros / 86_400e6).floor();
    let rest = micros - day * 86_400e6;
    let (year, month, date) = civil(day as i64);
    let (hour, minute) = ((rest / 3600e6).floor(), (rest % 3600e6 / 60e6).floor());
    instant(year, month, date, hour as u32, minute as u32, rest % 60e6 / 1e6)
}

/// The role of a channel by the first word of its label, or by the place on the scalp that it names; in the words of BIDS in lower case.
pub(crate) fn role_of(label: &str, unit: &str) -> &'static str {
    let mut words = label.split([' ', '-', '_', ':']).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    let first = first.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let role = match first {
        "EEG" => "eeg",
        "SEEG" => "seeg",
        "ECOG" => "ecog",
        "DBS" | "LFP" => "dbs",
        "EOG" | "HEOG" | "VEOG" => "eog",
        "ECG" | "EKG" => "ecg",
        "EMG" => "emg",
        "MEG" => "meg",
        "RESP" => "resp",
        "TEMP" => "temp",
        "BIO" | "SAO" => "bio",
        "MISC" => "misc",
        "STIM" | "STATUS" | "TRIGGER" | "TRIG" => "trig",
        _ => "",
    };
    if !role.is_empty() {
        return role;
    }
    let volts = matches!(unit, "uV" | "µV" | "μV" | "mV" | "V" | "nV" | "");
    if volts && scalp(label) { "eeg" } else { "misc" }
}

/// Whether a label names a place of the 10-20 system or its extensions, such as `Fp1`, `Cz`, `FCC5h`, `Fc5.`, or a difference of two.
fn scalp(label: &str) -> bool {
    let mut places = label.trim_end_matches('.').split('-');
    let place = |word: &str| {
        let word = word.trim_matches('.').to_ascii_uppercase();
        let word = word.strip_suffix('H').unwrap_or(&word);
        let letters = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let (letters, numbered) = match letters.strip_suffix('Z') {
            Some(middle) if letters.len() == word.len() => (middle, true),
            _ => (letters, letters.len() < word.len() && word.len() - letters.len() <= 2),
        };
        const ROWS: [&str; 26] = [
            "N", "FP", "AF", "AFP", "F", "FF", "AFF", "FC", "FFC", "FCC", "FT", "FFT", "FTT", "C", "CC", "CP", "CCP", "CPP", "T", "TP",
            "TTP", "TPP", "P", "PO", "O", "PPO",
        ];
        numbered && (ROWS.contains(&letters) || ["I", "A", "M", "POO", "OI"].contains(&letters))
    };
    places.next().is_some_and(place) && places.next().is_none_or(|word| place(word) || ["REF", "AVG", "LE", "M"].contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        for day in [-719_162, -1, 0, 59, 11_016, 18_321, 2_932_896] {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
        assert_eq!(since_1970(951_782_400.25).as_deref(), Some("2000-02-29T00:00:00.250000"));
        assert_eq!(since_1970(f64::NAN), None);
        assert_eq!(instant(2021, 2, 29, 0, 0, 0.0), None);
        assert_eq!(instant(2020, 2, 29, 23, 59, 1.5).as_deref(), Some("2020-02-29T23:59:01.500000"));
    }

    #[test]
    fn labels_tell_roles() {
        let cases = [
            ("EEG Fpz-Cz", "uV", "eeg"),
            ("EOG horizontal", "uV", "eog"),
            ("Fc5.", "uV", "eeg"),
            ("Iz..", "uV", "eeg"),
            ("ECG", "mV", "ecg"),
            ("Status", "", "trig"),
            ("T8", "uV", "eeg"),
            ("POO10h", "uV", "eeg"),
            ("Fp1-REF", "uV", "eeg"),
            ("F3-C3", "uV", "eeg"),
            ("squarewave", "uV", "misc"),
            ("MOV_RIGHT", "uV", "misc"),
            ("ECOG_RIGHT_0", "uV", "ecog"),
            ("LFP_RIGHT_0", "uV", "dbs"),
            ("C3", "degC", "misc"),
            ("EMG1", "uV", "emg"),
            ("Temp rectal", "degC", "temp"),
            ("Z", "uV", "misc"),
            ("", "", "misc"),
        ];
        for (label, unit, role) in cases {
            assert_eq!(role_of(label, unit), role, "{label}");
        }
    }

    #[test]
    fn fields_end_at_zero_bytes_and_may_be_latin() {
        assert_eq!(field(b"  12\0 34 "), "12");
        assert_eq!(field(b"\xb5V      "), "µV");
        assert_eq!(field("µV  ".as_bytes()), "µV");
        assert_eq!(number(" -3,5 "), Some(-3.5));
        assert_eq!(number("inf"), None);
    }
}
