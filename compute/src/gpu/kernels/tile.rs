//! The source of tiled products in WGSL: one scheme, and many kernels made from it.
//!
//! A kernel is chosen by the tile (sums a thread keeps in registers), by where its two operands come from, and by what is done with a pair of elements. Sources
//! are written out with all inner loops unrolled, because the bounds that make WGSL's loops safe keep compilers from doing it.

use std::fmt::Write as _;

/// Inner indices that are kept in workgroup memory at a time.
pub(crate) const DEPTH: usize = 16;

/// Where the elements of an operand come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A matrix in memory.
    Matrix {
        /// Whether the elements of one inner index lie side by side (else those of one row of the left, or one column of the right matrix do).
        along: bool,
        /// Whether elements are read four at a time.
        fours: bool,
        /// Whether elements are kept in half precision.
        half: bool,
    },
    /// Left: an unfolding of a three-way tensor, whose inner index is a pair.
    Unfolding {
        /// As for a matrix.
        along: bool,
    },
    /// Right: the Khatri–Rao product of two factors, made while it is read.
    KhatriRao,
    /// Left: one row for each permutation and class, 1 where the permuted label is the class.
    OneHot,
}

/// What is summed for a pair of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// Their product.
    Product,
    /// The square of their difference.
    SquaredDifference,
}

/// One kernel of the scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scheme {
    /// Rows of sums a thread: 1, 2, 4 or 8. The tile has 16 times as many rows.
    pub(crate) rows: usize,
    /// Columns of sums a thread: 1, 2, 4 or 8.
    pub(crate) columns: usize,
    /// The left operand.
    pub(crate) left: Operand,
    /// The right operand.
    pub(crate) right: Operand,
    /// What is summed.
    pub(crate) pairing: Pairing,
    /// Whether the result is symmetric, so that tiles above the diagonal are mirrored instead of computed. Needs a square tile.
    pub(crate) symmetric: bool,
}

/// Which of the two operands.
#[derive(Clone, Copy)]
struct Side {
    name: char,
    /// Rows or columns of sums a thread.
    sums: usize,
    /// Elements that lie together in workgroup memory.
    width: usize,
    operand: Operand,
}

impl Scheme {
    /// A name that no other kernel has.
    pub(crate) fn name(&self) -> String {
        format!("{self:?}")
    }

    fn sides(&self) -> [Side; 2] {
        let side = |name, sums: usize, operand| Side { name, sums, width: sums.min(4), operand };
        [side('a', self.rows, self.left), side('b', self.columns, self.right)]
    }

    /// The source of the kernel.
    pub(crate) fn source(&self) -> String {
        let [a, b] = self.sides();
        let second = matches!(self.right, Operand::KhatriRao);
        let more = if second { "@group(0) @binding(3) var<storage, read> second: array<f32>;" } else { "" };
        let half = [a, b].iter().any(|side| matches!(side.operand, Operand::Matrix { half: true, .. }));
        let skip = if self.symmetric { "if (group.x > group.y) { return; }" } else { "" };
        let values = [
            ("enable", if half { "enable f16;" } else { "" }.to_owned()),
            ("rows", self.rows.to_string()),
            ("columns", self.columns.to_string()),
            ("tile_rows", (16 * self.rows).to_string()),
            ("tile_columns", (16 * self.columns).to_string()),
            ("a_type", a.stored()),
            ("b_type", b.stored()),
            ("a_part", vector("f32", a.width)),
            ("b_part", vector("f32", b.width)),
            ("a_size", (DEPTH * a.pitch()).to_string()),
            ("b_size", (DEPTH * b.pitch()).to_string()),
            ("a_reads", a.reads()),
            ("b_reads", b.reads()),
            ("more_bindings", more.to_owned()),
            ("c_binding", if second { "4" } else { "3" }.to_owned()),
            ("skip", skip.to_owned()),
            ("sums", self.sums()),
            ("fetched", a.fetched() + &b.fetched()),
            ("fetch", a.fetch() + &b.fetch()),
            ("keep", a.keep() + &b.keep()),
            ("multiply", self.multiply()),
            ("store", self.store()),
        ];
        fill(include_str!("matmul.wgsl"), &values)
    }

    fn sums(&self) -> String {
        let b = self.sides()[1];
        let zero = vector("f32", b.width);
        self.each_sum().iter().fold(String::new(), |text, name| text + &format!("var {name} = {zero}(0.0);\n    "))
    }

    fn each_sum(&self) -> Vec<String> {
        let parts = self.columns / self.columns.min(4);
        (0..self.rows).flat_map(|row| (0..parts).map(move |part| format!("sum_{row}_{part}"))).collect()
    }

    fn multiply(&self) -> String {
        let [a, b] = self.sides();
        let mut text = String::new();
        for inner in 0..DEPTH {
            for side in [a, b] {
                let local = if side.name == 'a' { 'y' } else { 'x' };
                for part in 0..side.sums / side.width {
                    let (name, place) = (side.name, inner * side.pitch() + 16 * part);
                    let _ = writeln!(text, "        let {name}_{inner}_{part} = tile_{name}[{place}u + local.{local}];");
                }
            }
            for row in 0..self.rows {
                let left = element(&format!("a_{inner}_{}", row / a.width), row % a.width, a.width);
                for part in 0..b.sums / b.width {
                    let (kind, sum, right) = (vector("f32", b.width), format!("sum_{row}_{part}"), format!("b_{inner}_{part}"));
                    let _ = match self.pairing {
                        Pairing::Product => writeln!(text, "        {sum} = fma({kind}({left}), {right}, {sum});"),
                        Pairing::SquaredDifference => {
                            let difference = format!("d_{inner}_{row}_{part}");
                            writeln!(
                                text,
                                "        let {difference} = {kind}({left}) - {right}; {sum} = fma({difference}, {difference}, {sum});"
                            )
                        }
                    };
                }
            }
        }
        text
    }

    fn store(&self) -> String {
        let [a, b] = self.sides();
        let mut text = String::new();
        for row in 0..self.rows {
            let (group, within) = (16 * (row / a.width), row % a.width);
            let _ = writeln!(text, "    {{ let row = first_row + (local.y + {group}u) * {}u + {within}u;", a.width);
            for column in 0..self.columns {
                let (group, within) = (16 * (column / b.width), column % b.width);
                let value = element(&format!("sum_{row}_{}", column / b.width), within, b.width);
                let mirror = if self.symmetric { "if (group.x < group.y) { c[origin + column * shape.n + row] = value; }" } else { "" };
                let _ = writeln!(
                    text,
                    "      {{ let column = first_column + (local.x + {group}u) * {}u + {within}u; let value = {value};
        if (row < shape.m && column < shape.n) {{ c[origin + row * shape.n + column] = value; {mirror} }} }}",
                    b.width
                );
            }
            text += "    }\n";
        }
        text
    }
}

impl Side {
    /// Distance of two inner indices in workgroup memory. One more than needed, so that writes don't meet in one bank.
    fn pitch(self) -> usize {
        16 * self.sums / self.width + 1
    }

    fn along(self) -> bool {
        match self.operand {
            Operand::Matrix { along, .. } | Operand::Unfolding { along } => along,
            Operand::KhatriRao => true,
            Operand::OneHot => false,
        }
    }

    fn fours(self) -> bool {
        matches!(self.operand, Operand::Matrix { fours: true, .. }) && self.width == 4
    }

    fn half(self) -> bool {
        matches!(self.operand, Operand::Matrix { half: true, .. })
    }

    /// The type of an element in the device's memory.
    fn stored(self) -> String {
        match self.operand {
            Operand::OneHot => "u32".to_owned(),
            _ => vector(if self.half() { "f16" } else { "f32" }, if self.fours() { 4 } else { 1 }),
        }
    }

    /// The function that reads one element, or four, and gives zeros outside of the matrix. `at` is a row of the left, a column of the right operand.
    fn reads(self) -> String {
        let name = self.name;
        let (extent, stride) = if name == 'a' { ("m", "a_row") } else { ("n", "b_column") };
        let place = match self.operand {
            Operand::Matrix { .. } => format!("batch * shape.{name}_batch + at * shape.{stride} + inner * shape.{name}_inner"),
            Operand::Unfolding { .. } => format!(
                "batch * shape.a_batch + at * shape.{stride} + (inner / shape.period) * shape.a_outer + (inner % shape.period) * shape.a_inner"
            ),
            Operand::KhatriRao | Operand::OneHot => String::new(),
        };
        let kind = vector("f32", if self.fours() { 4 } else { 1 });
        let value = match self.operand {
            Operand::KhatriRao => "b[(inner / shape.period) * shape.n + at] * second[(inner % shape.period) * shape.n + at]".to_owned(),
            // `period` is the number of classes; a row of labels belongs to each permutation.
            Operand::OneHot => "select(0.0, 1.0, a[(at / shape.period) * shape.k + inner] == at % shape.period)".to_owned(),
            _ if self.fours() => format!("{kind}({name}[({place}) / 4u])"),
            _ => format!("f32({name}[{place}])"),
        };
        format!(
            "fn read_{name}(batch: u32, at: u32, inner: u32, end: u32) -> {kind} {{
    if (at < shape.{extent} && inner < end) {{ return {value}; }}
    return {kind}(0.0);
}}
"
        )
    }

    /// Whether a thread fetches 4 × 4 elements and turns them.
    fn turned(self) -> bool {
        self.fours() && !self.along()
    }

    /// Parts that one thread fetches.
    fn parts(self) -> usize {
        if self.turned() { 4 } else { self.sums / self.width }
    }

    fn fetched(self) -> String {
        let kind = vector("f32", self.width);
        (0..self.parts()).fold(String::new(), |text, part| text + &format!("var next_{}_{part} = {kind}(0.0);\n    ", self.name))
    }

    fn fetch(self) -> String {
        let name = self.name;
        let first = if name == 'a' { "first_row" } else { "first_column" };
        let mut text = String::new();
        if self.turned() {
            // Each thread: four rows, four inner indices of each; threads with neighbouring numbers read neighbouring inner indices.
            let blocks = 16 * self.sums;
            let _ = writeln!(
                text,
                "        if (thread < {blocks}u) {{ let at = {first} + (thread / 4u) * 4u; let early = inner + (thread % 4u) * 4u;"
            );
            for row in 0..4 {
                let _ = writeln!(text, "            next_{name}_{row} = read_{name}(batch, at + {row}u, early, end);");
            }
            text += "        }\n";
            return text;
        }
        for part in 0..self.parts() {
            let (at, from) = self.place(part);
            let at = format!("{first} + ({at}) * {}u", self.width);
            if self.fours() {
                let _ = writeln!(text, "        next_{name}_{part} = read_{name}(batch, {at}, inner + {from}, end);");
            } else {
                let each: Vec<String> =
                    (0..self.width).map(|at_more| format!("read_{name}(batch, {at} + {at_more}u, inner + {from}, end)")).collect();
                let _ = writeln!(text, "        next_{name}_{part} = {}({});", vector("f32", self.width), each.join(", "));
            }
        }
        text
    }

    /// Which group of elements, and which inner index, a thread fetches as its `part`-th.
    fn place(self, part: usize) -> (String, String) {
        let number = format!("(thread + {}u)", 256 * part);
        let groups = 16 * self.sums / self.width;
        if self.along() {
            (format!("{number} % {groups}u"), format!("{number} / {groups}u"))
        } else {
            (format!("{number} / {DEPTH}u"), format!("{number} % {DEPTH}u"))
        }
    }

    fn keep(self) -> String {
        let (name, pitch) = (self.name, self.pitch());
        let mut text = String::new();
        if self.turned() {
            let blocks = 16 * self.sums;
            let _ = writeln!(text, "        if (thread < {blocks}u) {{ let early = (thread % 4u) * 4u; let at = thread / 4u;");
            for (place, inner) in ["x", "y", "z", "w"].iter().enumerate() {
                let each: Vec<String> = (0..4).map(|row| format!("next_{name}_{row}.{inner}")).collect();
                let _ = writeln!(text, "            tile_{name}[(early + {place}u) * {pitch}u + at] = vec4<f32>({});", each.join(", "));
            }
            text += "        }\n";
            return text;
        }
        for part in 0..self.parts() {
            let (at, from) = self.place(part);
            let _ = writeln!(text, "        tile_{name}[({from}) * {pitch}u + ({at})] = next_{name}_{part};");
        }
        text
    }
}

/// The WGSL type of `width` numbers.
fn vector(of: &str, width: usize) -> String {
    if width == 1 { of.to_owned() } else { format!("vec{width}<{of}>") }
}

fn element(name: &str, place: usize, width: usize) -> String {
    if width == 1 { name.to_owned() } else { format!("{name}.{}", ["x", "y", "z", "w"][place % 4]) }
}

/// A template with its `{{name}}`s replaced.
pub(crate) fn fill(template: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}
