# Every construct of the language once; the tests of the parser and of the formatter damage it and lay it out.
pipeline everything "What the language has"

use "common/quality.nf" as quality with bin = 20 ms

param subject: Text   = "m1"
param areas: [Text]   = ["VISp", "VISl"]
param limit           = 0.5

input sessions = files("data/{param.subject}") or files("mirror")   # the first that is there
input rows     = csv("rows.csv", when = param.limit > 0.1)

fn cleaned(raw: Table, n: Integer = 3, text: Text = "a \"quoted\" one") {
  # Functions hold steps, loops and branches.
  one = t.take(raw, n = n)
  for part in [1, 2] {
    two = t.take(one, n = part)
  }
  all = t.join(gather(two))
  all.table
}

fn counted(raw: Table) {
  exec("wc -l < {{ raw }} > {{ out }}", raw = raw) -> csv("n.csv")
    with time = 1 min
}

good = quality.scaled(rows)
best = cleaned(rows, text = "{param.subject}")
  with seed = 7, memory = 4 GiB .. 16 GiB, retries = 2,
  pool = [disk, licence(2)]

for m in sessions {
  q = t.give(text = m)
  for unit in q.table.unit {
    x = t.rate(q, n = unit)
    if x.accuracy > param.limit and not (m == "m9") {
      y = t.take(q, share = -0.5 + 2 * 0.5)
    } else if x.accuracy > 0.1 {
      z = t.take(q)
    } else {
      w = t.take(q)
    }
  }
}

sweep grid in { a = [1, 2], b = 0.1 .. 0.5 step 0.1 } {
  s = t.rate(rows, n = a, share = b)
}

sweep long in {
  a = [1, 2],   # with a comment
  b = 1 .. 9 step 2,
} {
  s2 = t.rate(rows, n = a)
}

counts = sql("""
  select unit, count(*) as n
  from x join grid on x.unit = grid.a
  group by unit
""", x = gather(y), grid = grid)

told = exec("wc -l < {{ counts | csv }} > {{ out }}", counts = counts) -> csv("lines.csv")
  with env = "envs/py.lock", scripts = ["scripts/*.py"], network = off, time = 10 min

expect mean(x[*].accuracy) > 0.2    "decodable"
expect any(s.accuracy >= 0.5) or count(s.accuracy > 0.1) == 2

report everything "All of it" {
  good, best, x, y, z, w,
  grid, long, counts, told, quality.checked
}
