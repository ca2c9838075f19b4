//! Spike times as text: the simplest form in which sorted spikes are passed on.
//!
//! [`open`] recognises three layouts and gives one item, `spikes`:
//!
//! * two columns, `neuron` and `time`, between tabs, commas, semicolons or blanks: a unit for each neuron;
//! * one time a line: a single unit `1`;
//! * one time a line in blocks, each after lines that begin with `#` (as the recordings of the grasshopper's receptors have them): a unit `block 1`,
//!   `block 2`, … for each block, with a column for each `# key: value` that the blocks have in common.
//!
//! Nothing in such a file tells the unit of time, so it must be given; seconds are assumed otherwise.

use crate::document::{Contents, Document, Item, Rows, What};
use crate::series::{held, unusable};
use crate::source::{Source, part};
use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use neuroflow_data::formats::{Format, FormatError, Limits, Place, RAISE_LIMIT};
use neuroflow_data::{Spikes, Table, columns};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const SPIKES: &str = "spikes";
/// Units that one file may have.
const MOST_UNITS: usize = 1 << 18;
/// Lines `# key: value` that a block may have.
const MOST_KEYS: usize = 256;
/// Such lines that are kept of all blocks together.
const MOST_KEPT: usize = 100_000;

/// What the numbers in the file count.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
    /// Samples, so many a second.
    Samples(f64),
}

impl TimeUnit {
    /// How many of them a second has.
    fn per_second(self) -> f64 {
        match self {
            TimeUnit::Seconds => 1.0,
            TimeUnit::Milliseconds => 1e3,
            TimeUnit::Microseconds => 1e6,
            TimeUnit::Samples(rate) => rate,
        }
    }
}

/// A file of spike times, opened.
#[derive(Debug)]
pub struct SpikeTextDocument {
    contents: Contents,
    spikes: Spikes,
}

/// Opens a text whose times are in seconds.
///
/// # Errors
/// As [`open_with`].
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<SpikeTextDocument, FormatError> {
    open_with(source, TimeUnit::Seconds, limits)
}

/// Opens a text whose times are in `unit`.
///
/// # Errors
/// When the text is not UTF-8, a line has no number where a time is expected or another number of columns than the first, or there is no spike.
pub fn open_with(source: Arc<dyn Source>, unit: TimeUnit, limits: &Limits) -> Result<SpikeTextDocument, FormatError> {
    let per_second = unit.per_second();
    if !(per_second.is_finite() && per_second > 0.0) {
        let reason = format!("{per_second} samples a second were given");
        return Err(FormatError::new(Format::SpikeText, Place::File, reason, "give the sampling rate in hertz"));
    }
    if source.len() > limits.max_total_bytes {
        let reason = format!("the text has {} bytes", source.len());
        return Err(FormatError::new(Format::SpikeText, Place::File, reason, RAISE_LIMIT));
    }
    let bytes = part(source.as_ref(), Format::SpikeText, 0..source.len())?;
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)).map_err(|error| {
        let place = Place::Byte(error.valid_up_to() as u64);
        FormatError::new(Format::SpikeText, place, "the text is not UTF-8", "check that the path names a text file of spike times")
    })?;
    let mut notes = Vec::new();
    let read = read(text, per_second)?;
    if read.order_mended > 0 {
        notes.push(format!("the times of {} units were not in order and have been sorted", read.order_mended));
    }
    if read.header {
        notes.push("the first line names the columns and is no spike".into());
    }
    let table = unit_table(&read.names, &read.keys).map_err(unusable(Format::SpikeText, SPIKES))?;
    let spikes = Spikes::new("", table, &read.ends, read.times).map_err(unusable(Format::SpikeText, SPIKES))?;
    let mut contents = Contents::new(Format::SpikeText, "");
    let what = What::Spikes { units: spikes.len() as u64, spikes: spikes.all_times().len() as u64 };
    contents.items.push(Item { path: SPIKES.into(), what, about: String::new() });
    contents.notes = notes;
    Ok(SpikeTextDocument { contents, spikes })
}

/// What was read, sorted by unit.
struct Read {
    names: Vec<String>,
    /// The `# key: value` lines of each block; empty in the other layouts.
    keys: Vec<BTreeMap<String, String>>,
    ends: Vec<usize>,
    times: Vec<f64>,
    order_mended: usize,
    header: bool,
}

fn wrong(line: usize, field: Option<u64>, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(Format::SpikeText, Place::Line { line: line as u64 + 1, field }, reason, help)
}

/// The fields of a line.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| letter.is_ascii_whitespace() || letter == ',' || letter == ';').filter(|field| !field.is_empty())
}

fn read(text: &str, per_second: f64) -> Result<Read, FormatError> {
    let mut names: Vec<String> = Vec::new();
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut keys: Vec<BTreeMap<String, String>> = Vec::new();
    // Two walks over the text: the first finds each line's unit, the second puts times where their unit's go.
    let mut owners: Vec<u32> = Vec::new();
    let (mut columns, mut header, mut blocks, mut comment, mut kept) = (0, false, false, false, 0);
    let mut order = Order::UnitFirst;
    for (number, line) in text.lines().enumerate() {
        if let Some(said) = line.trim_start().strip_prefix('#') {
            if !std::mem::replace(&mut comment, true) {
                // Comments above a table are no block; which layout it is shows at the first number.
                keys.push(BTreeMap::new());
            }
            if let (Some((key, value)), Some(own)) = (said.split_once(':'), keys.last_mut())
                && own.len() < MOST_KEYS
                && kept < MOST_KEPT
            {
                kept += 1;
                own.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            if keys.len() > MOST_UNITS {
                return Err(wrong(number, None, format!("there are more than {MOST_UNITS} blocks"), "split the file"));
            }
            continue;
        }
        let mut own = fields(line);
        let Some(first) = own.next() else { continue };
        let count = 1 + own.count();
        if columns == 0 {
            let numeric = fields(line).last().is_some_and(|time| time.parse::<f64>().is_ok());
            if !numeric && !header && count <= 2 {
                header = true;
                order = Order::of_names(first, fields(line).last().unwrap_or_default(), number)?;
                continue;
            }
            columns = count;
            if count == 2 && !header {
                order.check(text)?;
            }
            blocks = count == 1 && !keys.is_empty();
        }
        if count != columns || count > 2 {
            let reason = format!(
                "the line has {count} fields, {} expected",
                if columns > 2 { "1 or 2 are".into() } else { format!("{columns} as in the first are") }
            );
            return Err(wrong(number, None, reason, "give a time a line, or a neuron and a time"));
        }
        let owner = match (columns, blocks) {
            (2, _) => match known.get(order.unit(line)) {
                Some(&owner) => owner,
                None => {
                    let owner = u32::try_from(names.len()).unwrap_or(u32::MAX);
                    if names.len() >= MOST_UNITS {
                        let help = "check that the first column holds neurons and the second times";
                        return Err(wrong(number, Some(1), format!("there are more than {MOST_UNITS} neurons"), help));
                    }
                    known.insert(order.unit(line), owner);
                    names.push(neuron(order.unit(line)));
                    owner
                }
            },
            (_, true) => u32::try_from(keys.len().saturating_sub(1)).unwrap_or(0),
            _ => 0,
        };
        comment = false;
        owners.push(owner);
    }
    if owners.is_empty() {
        return Err(FormatError::new(
            Format::SpikeText,
            Place::File,
            "there is no spike time in the text",
            "check that the path names spike times",
        ));
    }
    if columns == 2 {
        keys.clear();
    } else if blocks {
        names = (1..=keys.len()).map(|block| format!("block {block}")).collect();
    } else {
        (names, keys) = (vec!["1".into()], Vec::new());
    }
    // Neurons that are numbered come in the order of their numbers; `1` and `1.0` are one neuron.
    let merged = places(&mut names);
    let mut ends = vec![0usize; names.len()];
    let place = |owner: u32| merged.get(owner as usize).copied().unwrap_or(0);
    for &owner in &owners {
        if let Some(count) = ends.get_mut(place(owner)) {
            *count += 1;
        }
    }
    let mut next = Vec::with_capacity(ends.len());
    let mut total = 0;
    for end in &mut ends {
        next.push(total);
        total += *end;
        *end = total;
    }
    let mut times = vec![0.0; total];
    let mut owner = owners.iter();
    let mut skipped = header;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        let Some(field) = order.time(line) else { continue };
        if std::mem::take(&mut skipped) {
            continue;
        }
        let time = field.parse::<f64>().ok().filter(|time| time.is_finite()).ok_or_else(|| {
            let place = if order == Order::TimeFirst { 1 } else { columns as u64 };
            wrong(number, Some(place), format!("`{}` is no time", field.escape_debug()), "write times as numbers")
        })?;
        let slot = owner.next().and_then(|&owner| next.get_mut(place(owner)));
        if let Some(slot) = slot {
            if let Some(own) = times.get_mut(*slot) {
                *own = time / per_second;
            }
            *slot += 1;
        }
    }
    let (mut begin, mut order_mended) = (0, 0);
    for &end in &ends {
        if let Some(own) = times.get_mut(begin..end)
            && !own.is_sorted()
        {
            own.sort_unstable_by(f64::total_cmp);
            order_mended += 1;
        }
        begin = end;
    }
    Ok(Read { names, keys, ends, times, order_mended, header })
}

/// Which of two columns holds the times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    UnitFirst,
    TimeFirst,
}

impl Order {
    /// The order that the names of two columns tell.
    fn of_names(first: &str, last: &str, line: usize) -> Result<Order, FormatError> {
        const TIMES: [&str; 6] = ["time", "timestamp", "spiketime", "spike_time", "t", "sec"];
        let is_time = |name: &str| {
            let name = name.trim_matches('"').to_ascii_lowercase();
            TIMES.iter().any(|own| name == *own || name == format!("{own}s")) || name.starts_with("time") || name.starts_with("spike_time")
        };
        match (is_time(first), is_time(last)) {
            (true, true) if first != last => {
                let reason = format!("both columns are called as times are: `{}` and `{}`", first.escape_debug(), last.escape_debug());
                Err(wrong(line, None, reason, "call the columns `unit` and `time`"))
            }
            (true, false) => Ok(Order::TimeFirst),
            _ => Ok(Order::UnitFirst),
        }
    }

    /// Without names, the unit comes first, which no fraction of a number is: times stand there, or the trains stand in a line each.
    fn check(self, text: &str) -> Result<(), FormatError> {
        let is_fraction =
            |line: &str| fields(line).next().and_then(|first| first.parse::<f64>().ok()).is_some_and(|first| first.fract() != 0.0);
        let mut rows = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
        let Some((number, line)) = rows.find(|(_, line)| is_fraction(line)) else { return Ok(()) };
        let reason = format!("the first of two columns names the unit, and `{}` is a fraction", fields(line).next().unwrap_or_default());
        Err(wrong(number, Some(1), reason, "write the unit first, or a first line with the names of the columns: `time unit`"))
    }

    fn unit(self, line: &str) -> &str {
        match self {
            Order::UnitFirst => fields(line).next().unwrap_or_default(),
            Order::TimeFirst => fields(line).last().unwrap_or_default(),
        }
    }

    fn time(self, line: &str) -> Option<&str> {
        match self {
            Order::UnitFirst => fields(line).last(),
            Order::TimeFirst => fields(line).next(),
        }
    }
}

/// A neuron's name: numbers without a needless fraction.
fn neuron(field: &str) -> String {
    match field.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < 9e15 && !field.starts_with('+') => format!("{number:.0}"),
        _ => field.to_owned(),
    }
}

/// Sorts names that are all numbers, drops repeats, and says where each of the given names now stands.
fn places(names: &mut Vec<String>) -> Vec<usize> {
    let given = names.clone();
    let numbers: Option<Vec<f64>> = given.iter().map(|name| name.parse::<f64>().ok().filter(|number| number.is_finite())).collect();
    if let Some(numbers) = numbers {
        let mut order: Vec<usize> = (0..given.len()).collect();
        order.sort_by(|&one, &two| match (numbers.get(one), numbers.get(two)) {
            (Some(one), Some(two)) => one.total_cmp(two),
            _ => std::cmp::Ordering::Equal,
        });
        *names = order.into_iter().filter_map(|place| given.get(place).cloned()).collect();
    }
    let mut first: HashMap<String, usize> = HashMap::new();
    names.retain(|name| {
        let place = first.len();
        let fresh = !first.contains_key(name);
        if fresh {
            first.insert(name.clone(), place);
        }
        fresh
    });
    given.iter().map(|name| first.get(name).copied().unwrap_or(0)).collect()
}

fn unit_table(names: &[String], keys: &[BTreeMap<String, String>]) -> Result<Table, neuroflow_data::DataError> {
    let mut table: Vec<(Field, ArrayRef)> = vec![columns::from_texts("unit", names)];
    let common = keys.first().map(|first| first.keys().filter(|key| keys.iter().all(|own| own.contains_key(*key)))).into_iter().flatten();
    for key in common.filter(|key| !matches!(key.as_str(), "unit" | "spike_times" | "")) {
        let values: Vec<&str> = keys.iter().filter_map(|own| own.get(key)).map(String::as_str).collect();
        let numbers: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
        table.push(match numbers {
            Some(numbers) => columns::from_numbers(key, numbers),
            None => columns::from_texts(key, &values),
        });
    }
    Table::from_columns(table)
}

impl Document for SpikeTextDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn spikes(&self, path: &str) -> Result<Spikes, FormatError> {
        self.contents.path_of(path, SPIKES, |what| matches!(what, What::Spikes { .. }))?;
        Ok(self.spikes.clone())
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        match path {
            "" | SPIKES => Ok(held(Format::SpikeText, self.spikes.units())),
            _ => Err(self.contents.none("table", path)),
        }
    }
}
