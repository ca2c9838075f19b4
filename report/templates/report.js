// The page's own script: it shows, sorts, searches and marks what is there. Without it the page says the same.
"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, given = {}) => Object.assign(document.createElement(tag), given);
  const root = document.documentElement;
  const tools = $("#tools"), search = $("#search"), found = $("#found"), theme = $("#theme"), help = $("#help"), pointed = $("#pointed");
  const say = (text) => { if (pointed && pointed.textContent !== text) pointed.textContent = text; };

  // Light and dark. A browser that keeps nothing for files forgets the choice, no more.
  const remembered = { get: () => { try { return localStorage.getItem("neuroflow-theme") || ""; } catch { return ""; } }, set: (value) => { try { localStorage.setItem("neuroflow-theme", value); } catch { /* nothing is kept */ } } };
  const dress = (value) => { if (value) root.dataset.theme = value; else delete root.dataset.theme; if (theme) theme.value = value; };
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const choose = (value) => { dress(value); remembered.set(value); };
  dress(["light", "dark"].includes(remembered.get()) ? remembered.get() : "");
  theme?.addEventListener("change", () => choose(theme.value));
  if (tools) tools.hidden = false;

  // Tables that sort by a column: numbers as numbers, empty cells last.
  const order = new Intl.Collator("en", { numeric: true });
  const valueOf = (row, column) => { const cell = row.cells[column]; return cell ? (cell.dataset.value ?? cell.textContent.trim()) : ""; };
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? order.compare(a, b) : x - y;
  };
  const sortBy = (table, head) => {
    const heads = [...head.parentElement.cells], column = heads.indexOf(head), down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [valueOf(row, column), row]);
    keyed.sort(([a], [b]) => (a === "") - (b === "") || (down ? compare(b, a) : compare(a, b)));
    body.append(...keyed.map(([, row]) => row));
  };
  for (const table of all("table.sort")) {
    for (const head of all("thead th", table)) {
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sortBy(table, head));
    }
  }

  // Search: every word must stand somewhere in a step, or in a row of the tables of scores and steps.
  const steps = all("section.step"), groups = all("section.group");
  const texts = new WeakMap();
  const textOf = (element) => {
    if (!texts.has(element)) {
      const parts = element.matches("tr") ? [element] : [...all("h3, p, figcaption, th, td, dd", element), ...all(":scope > h2", element.parentElement)];
      texts.set(element, parts.map((part) => part.textContent).join(" ").toLowerCase());
    }
    return texts.get(element);
  };
  const look = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (element) => words.every((word) => textOf(element).includes(word));
    let shown = 0;
    for (const step of steps) { step.hidden = !fits(step); shown += !step.hidden; }
    for (const group of groups) group.hidden = all("section.step", group).every((step) => step.hidden);
    for (const row of all("#main > section:not(.group) table.sort tbody tr")) row.hidden = !fits(row);
    found.textContent = words.length ? `${shown} of ${steps.length} steps` : "";
  };
  let waiting = 0;
  search?.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(look, 60); });

  // From step to step.
  const go = (step) => {
    const heading = $("h3", step);
    step.scrollIntoView({ block: "start" });
    heading.focus({ preventScroll: true });
  };
  const walk = (way) => {
    const shown = steps.filter((step) => !step.hidden && !step.parentElement.hidden);
    const now = document.activeElement?.closest("section.step");
    let at = shown.indexOf(now);
    if (at < 0) { const below = shown.findIndex((step) => step.getBoundingClientRect().top > 8); at = below < 0 ? shown.length : below - (way > 0 ? 1 : 0); }
    const next = shown[Math.min(Math.max(at + way, 0), shown.length - 1)];
    if (next) go(next);
  };
  const openHelp = () => { if (help && !help.open) help.showModal(); };
  $("#keys")?.addEventListener("click", openHelp);
  $("#close")?.addEventListener("click", () => help.close());
  $(".dag")?.addEventListener("click", (event) => {
    const name = event.target.closest("[data-step]")?.dataset.step;
    const step = name && steps.find((step) => step.dataset.name === name && !step.hidden);
    if (step) go(step);
  });

  // Figures that point at the same thing. Units, trials and the like are those of one member; conditions and times are the same everywhere.
  const OWN = new Set(["unit", "trial", "channel", "component", "node", "sample"]);
  const NS = "http://www.w3.org/2000/svg";
  let known = null;
  const figures = () => {
    if (known) return known;
    known = { of: new Map(), byKey: new Map(), common: [] };
    for (const svg of all("svg[data-axes]")) {
      const member = svg.closest("[data-member]")?.dataset.member ?? "";
      const axes = JSON.parse(svg.dataset.axes).map((axis) => ({ ...axis, svg, key: OWN.has(axis.a) ? `${member}/${axis.a}` : axis.a, at: new Map(axis.l.map((label, position) => [label, position])) }));
      known.of.set(svg, axes);
      for (const axis of axes) {
        if (!known.byKey.has(axis.key)) known.byKey.set(axis.key, []);
        known.byKey.get(axis.key).push(axis);
        if (!OWN.has(axis.a)) known.common.push(axis);
      }
    }
    return known;
  };
  const placeOf = (axis, position) => axis.r ? axis.r[position] : [axis.p[0] + axis.p[4] * position, axis.p[1] + axis.p[5] * position, axis.p[2], axis.p[3]];
  const positionAt = (axis, x, y) => {
    const inside = ([left, top, width, height]) => x >= left && x < left + width && y >= top && y < top + height;
    if (axis.r) return axis.r.findIndex(inside);
    const [left, top, , , dx, dy] = axis.p;
    const position = Math.floor(dx ? (x - left) / dx : (y - top) / dy);
    return position >= 0 && position < axis.l.length && inside(placeOf(axis, position)) ? position : -1;
  };
  let drawn = [], same = [], current = "", pinned = false;
  const clear = () => { drawn.forEach((mark) => mark.remove()); same.forEach((element) => element.classList.remove("same")); drawn = []; same = []; current = ""; };
  const mark = (axis, label) => {
    const position = axis.at.get(label);
    if (position === undefined) return;
    const [x, y, width, height] = placeOf(axis, position), rect = document.createElementNS(NS, "rect");
    for (const [name, value] of Object.entries({ class: "mark", x, y, width, height })) rect.setAttribute(name, value);
    axis.svg.append(rect);
    drawn.push(rect);
  };
  const markMember = (label) => { same.push(...all(`[data-member="${CSS.escape(label)}"]`).filter((element) => !element.matches("section"))); same.forEach((element) => element.classList.add("same")); };
  const point = (svg, positions, text) => {
    const name = positions.map(([axis, position]) => `${axis.key}=${axis.l[position]}`).join("|");
    if (name === current) return;
    clear();
    current = name;
    for (const [axis, position] of positions) {
      const label = axis.l[position];
      const agree = figures().byKey.get(axis.key) ?? [];
      // In one figure both sides of a square matrix can be the same axis: there, each marks its own.
      for (const other of agree) if (other.svg !== svg || other === axis) mark(other, label);
      if (!OWN.has(axis.a)) markMember(label);
    }
    say(text);
  };
  const tell = (svg, positions) => {
    const words = positions.map(([axis, position]) => `${axis.n} ${axis.l[position]}${axis.u}`).join(", ");
    const [rows, columns] = figures().of.get(svg);
    const values = svg.dataset.values?.split(",");
    const at = (axis) => positions.find(([other]) => other === axis)?.[1];
    const value = values && columns ? values[at(rows) * columns.l.length + at(columns)] : undefined;
    return value === undefined ? words : `${words}: ${value}`;
  };
  const leave = () => { if (!pinned) { clear(); say(""); } };
  const hover = (event) => {
    if (pinned) return;
    const target = event.target instanceof Element ? event.target : null;
    const svg = target?.closest("svg[data-axes]");
    if (!svg) {
      const member = target?.closest("tr[data-member], li[data-member]")?.dataset.member;
      if (!member) return leave();
      if (current === `member=${member}`) return;
      clear();
      current = `member=${member}`;
      figures().common.forEach((axis) => mark(axis, member));
      markMember(member);
      return;
    }
    const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    const x = (event.clientX - box.left) * view.width / box.width, y = (event.clientY - box.top) * view.height / box.height;
    const positions = figures().of.get(svg).map((axis) => [axis, positionAt(axis, x, y)]).filter(([, position]) => position >= 0);
    if (positions.length) point(svg, positions, tell(svg, positions)); else leave();
  };
  document.addEventListener("pointermove", hover);
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("svg[data-axes]")) return;
    if (pinned) { pinned = false; clear(); hover(event); } else pinned = current !== "";
  });

  // A figure by keys: left and right over its last axis, up and down over its first.
  let walked = new Map();
  const enter = () => {
    const step = document.activeElement?.closest("section.step") ?? steps.find((step) => !step.hidden && step.getBoundingClientRect().bottom > 40);
    const svg = step && $("figure svg[data-axes]", step);
    if (!svg) return;
    svg.setAttribute("tabindex", "-1");
    svg.focus();
    move(svg, 0, 0);
  };
  const move = (svg, across, down) => {
    const axes = figures().of.get(svg), first = axes[0], last = axes[axes.length - 1];
    const at = walked.get(svg) ?? axes.map(() => 0);
    const shift = (axis, by) => { const place = axes.indexOf(axis); at[place] = Math.min(Math.max(at[place] + by, 0), axis.l.length - 1); };
    if (across) shift(last, across);
    if (down) shift(first, down);
    walked.set(svg, at);
    pinned = false;
    const positions = axes.map((axis, place) => [axis, at[place]]);
    point(svg, positions, tell(svg, positions));
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help?.open) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (event.key === "Escape") {
      pinned = false;
      leave();
      if (search && (search.value || target === search)) { search.value = ""; look(); search.blur(); }
      return;
    }
    if (target.closest("input, select, textarea")) return;
    const svg = target.closest("svg[data-axes]");
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (svg && ways[event.key]) move(svg, ...ways[event.key]);
    else if (svg && event.key === "Enter") pinned = !pinned && current !== "";
    // In what scrolls sideways, arrows scroll.
    else if (event.key === "j" || (event.key === "ArrowRight" && !target.closest(".scroll"))) walk(1);
    else if (event.key === "k" || (event.key === "ArrowLeft" && !target.closest(".scroll"))) walk(-1);
    else if (event.key === "/" && search) search.focus();
    else if (event.key === "?") openHelp();
    else if (event.key === "f") enter();
    else if (event.key === "d") choose(isDark() ? "light" : "dark");
    else return;
    event.preventDefault();
  });

  // Figures as files, made from what is on the page.
  const save = (blob, name) => {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const written = (svg) => {
    const copy = svg.cloneNode(true);
    all(".mark", copy).forEach((element) => element.remove());
    ["data-axes", "data-values", "tabindex"].forEach((name) => copy.removeAttribute(name));
    return new XMLSerializer().serializeToString(copy);
  };
  const asPng = (svg, name) => {
    const picture = new Image(), view = svg.viewBox.baseVal, scale = 2;
    picture.onload = () => {
      const canvas = make("canvas", { width: Math.ceil(view.width * scale), height: Math.ceil(view.height * scale) }), pen = canvas.getContext("2d");
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => blob ? save(blob, name) : say("this picture is too large for the browser; take SVG"), "image/png");
    };
    picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(written(svg))}`;
  };
  // Large data is compressed in the page; it is saved as it was.
  document.addEventListener("click", async (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[download$='.csv.gz']") : null;
    if (!link || typeof DecompressionStream === "undefined") return;
    event.preventDefault();
    const bytes = Uint8Array.from(atob(link.href.split(",")[1]), (letter) => letter.charCodeAt(0));
    const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
    save(new Blob([text], { type: "text/csv" }), link.download.slice(0, -3));
  });
  for (const figure of all("figure[data-file]")) {
    const name = figure.dataset.file, files = $(".files", figure);
    for (const [word, act] of [["SVG", (svg) => save(new Blob([written(svg)], { type: "image/svg+xml" }), `${name}.svg`)], ["PNG", (svg) => asPng(svg, `${name}.png`)]]) {
      const button = make("button", { type: "button", textContent: word });
      button.setAttribute("aria-label", `${name} as ${word}`);
      button.addEventListener("click", () => act($("svg", figure)));
      files.append(button);
    }
  }
})();
