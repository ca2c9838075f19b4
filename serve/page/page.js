// Asks the program every second what runs and what waits, and shows it. Texts are put in as text; drawings come from the program alone.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const make = (tag, given = {}, ...children) => { const element = Object.assign(document.createElement(tag), given); element.append(...children); return element; };
  const NS = "http://www.w3.org/2000/svg";
  const draw = (tag, attributes, ...children) => { const element = document.createElementNS(NS, tag); Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value)); element.append(...children); return element; };

  // The link's secret: out of the address, so that it is in no history, and kept for this tab alone.
  const given = location.hash.slice(1);
  if (/^[0-9a-f]{64}$/.test(given)) { sessionStorage.setItem("token", given); history.replaceState(null, "", location.pathname); }
  const ask = (path, body) => fetch(`/api/${path}`, { method: body ? "POST" : "GET", headers: { Authorization: `Bearer ${sessionStorage.getItem("token") ?? ""}`, ...(body ? { "Content-Type": "application/json" } : {}) }, body: body && JSON.stringify(body) });
  const askJson = async (path) => { const answer = await ask(path); if (!answer.ok) throw new Error(await answer.text()); return answer.json(); };

  // Only what changed is put in again, so that nobody's cursor is lost.
  const shown = new Map();
  const put = (id, key, build) => {
    if (shown.get(id) === key) return;
    shown.set(id, key);
    const place = $(id), had = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    place.replaceChildren(...build());
    if (had) [...place.querySelectorAll("[data-key]")].find((element) => element.dataset.key === had)?.focus();
  };
  const cell = (text) => make("td", { textContent: text });
  const table = (label, heads, rows) => {
    const box = make("div", { className: "scroll", tabIndex: 0 }, make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col", textContent: text })))), make("tbody", {}, ...rows)));
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", label);
    return box;
  };
  const parsed = new DOMParser();
  const drawing = (text) => document.importNode(parsed.parseFromString(text, "image/svg+xml").documentElement, true);
  const seconds = (number) => number < 60 ? `${number.toFixed(1)} s` : `${Math.floor(number / 60)} min ${Math.round(number % 60)} s`;
  const bytes = (number) => number == null ? "" : number < 1e9 ? `${(number / 1048576).toFixed(0)} MiB` : `${(number / 1073741824).toFixed(2)} GiB`;

  const part = (id, label, build) => { const place = make("div", { id }); return place; };
  const liveRun = (run) => {
    const id = `run-${run.run}`;
    let place = $(id);
    if (!place) {
      place = make("section", { id });
      place.append(...["head", "graph", "now", "printed", "log", "figures"].map((name) => part(`${id}-${name}`)));
      $("live").append(place);
    }
    const failed = run.failed ? `, ${run.failed} failed` : "", queued = run.queued ? `, ${run.queued} wait for room` : "";
    put(`${id}-head`, JSON.stringify([run.done, run.failed, run.tasks, run.queued, Math.floor(run.seconds), run.memory]), () => {
      const bar = make("progress", { max: Math.max(run.tasks, 1), value: run.done });
      bar.setAttribute("aria-label", `${run.pipeline}: tasks that are done`);
      return [make("h3", { textContent: `${run.pipeline} (${run.run})` }), make("p", { className: "small" }, bar, ` ${run.done} of ${run.tasks} tasks done${failed}${queued} · ${seconds(run.seconds)} · process ${run.process} · ${bytes(run.memory)}`)];
    });
    put(`${id}-graph`, run.graph ?? JSON.stringify(run.steps.map((step) => [step.name, step.ran, step.cached, step.failed, step.running])), () => {
      if (run.graph) {
        const box = make("div", { className: "scroll", tabIndex: 0 }, drawing(run.graph));
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", `Graph of ${run.pipeline}`);
        return [box];
      }
      return [table(`Steps of ${run.pipeline}`, ["step", "stage", "done", "tasks", "running"], run.steps.map((step) => make("tr", {}, cell(step.name), cell(step.stage), cell(step.ran + step.cached), cell(step.tasks), cell(step.running))))];
    });
    put(`${id}-now`, JSON.stringify([run.running.map((task) => [task.label, Math.floor(task.seconds), task.progress]), run.waiting]), () => {
      const rows = run.running.slice(0, 20).map((task) => make("tr", {}, cell(task.label), cell(task.stage), cell(seconds(task.seconds)), cell(task.progress ? `${task.progress[0]} of ${task.progress[1]}` : ""), cell(task.followers ? `${task.followers} wait for it` : "")));
      const waits = run.waiting.filter((wait) => wait.on.some((on) => on.startsWith("process "))).slice(0, 20).map((wait) => make("tr", {}, cell(wait.label), cell("waits"), cell(""), cell(""), cell(wait.on.join(", "))));
      return rows.length + waits.length ? [table(`Tasks of ${run.pipeline}`, ["task", "stage", "for", "progress", "followers"], [...rows, ...waits])] : [];
    });
    put(`${id}-log`, `${run.log.length} ${run.log[run.log.length - 1] ?? ""}`, () => {
      if (!run.log.length) return [];
      const open = $(`${id}-details`)?.open ?? false;
      const text = make("pre", { textContent: run.log.join("\n"), tabIndex: 0 });
      text.setAttribute("role", "region");
      text.setAttribute("aria-label", `What happened in ${run.run}`);
      const outputs = run.made.filter((made) => run.steps.some((step) => step.stage === "exec" && (made.label === step.name || made.label.startsWith(`${step.name}[`))));
      return [make("details", { id: `${id}-details`, open }, make("summary", { textContent: `log: ${run.log[run.log.length - 1]}` }), text, ...outputs.slice(-5).map((made) => printed(run.run, made.label)))];
    });
    printing(run, $(`${id}-printed`));
    const made = run.made.map((made) => made.label).join("|");
    if (made && shown.get(`${id}-figures`) !== made) { shown.set(`${id}-figures`, made); figures(run.run, $(`${id}-figures`)); }
  };
  // What programs print while they run: a box for each, which stays as the person left it.
  const printing = (run, place) => {
    for (const box of [...place.children]) if (!run.printing.includes(box.dataset.task)) box.remove();
    for (const label of run.printing) {
      let box = [...place.children].find((one) => one.dataset.task === label);
      if (!box) {
        const text = make("pre", { tabIndex: 0, className: "printing" });
        text.setAttribute("role", "region");
        text.setAttribute("aria-label", `What ${label} prints`);
        box = make("details", { open: true }, make("summary", { textContent: `what ${label} prints` }), text);
        box.dataset.task = label;
        place.append(box);
      }
      if (box.open) follow(run.run, label, box.querySelector("pre"));
    }
  };
  const follow = async (run, label, text) => {
    if (text.dataset.asked) return;
    text.dataset.asked = "yes";
    try {
      const answer = await ask(`log/${encodeURIComponent(run)}/${encodeURIComponent(label)}`);
      const said = answer.ok ? await answer.text() : text.textContent;
      if (said !== text.textContent) {
        // Who has scrolled back reads on in peace.
        const follows = text.scrollHeight - text.scrollTop - text.clientHeight < 8;
        text.textContent = said;
        if (follows) text.scrollTop = text.scrollHeight;
      }
    } catch { /* the next turn asks again */ } finally { delete text.dataset.asked; }
  };
  const printed = (run, label) => {
    const button = make("button", { type: "button", className: "link", textContent: `what ${label} printed` });
    button.addEventListener("click", async () => { const answer = await ask(`log/${encodeURIComponent(run)}/${encodeURIComponent(label)}`); const text = make("pre", { textContent: await answer.text(), tabIndex: 0 }); text.setAttribute("role", "region"); text.setAttribute("aria-label", `What ${label} printed`); button.after(text); });
    return make("p", {}, button);
  };
  const figures = async (run, place) => {
    try {
      const drawn = await askJson(`figures/${encodeURIComponent(run)}`);
      place.replaceChildren(make("div", { className: "figures" }, ...drawn.map((one) => make("figure", {}, drawing(one.svg), make("figcaption", { textContent: `${one.label}: ${one.caption}` })))));
    } catch (error) { place.replaceChildren(make("p", { className: "small", textContent: `no figures: ${error.message}` })); }
  };

  const words = { done: "done", expect_failed: "expect failed", failed: "failed", interrupted: "interrupted" };
  const runs = (state) => put("runs", JSON.stringify(state.runs.map((run) => run.id)), () => state.runs.length ? state.runs.map((run) => {
    const details = make("details", { id: `ended-${run.id}` }, make("summary", {}, make("span", { className: run.status === "done" ? "good" : "bad", textContent: words[run.status] ?? run.status }), ` ${run.pipeline} · ${run.id} · ${seconds(run.wall_ms / 1000)} · ${run.ran} ran, ${run.cached} cached${run.failed ? `, ${run.failed} failed` : ""}${run.at ? ` · at ${run.at}` : ""}`));
    details.append(...run.failures.map((text) => make("p", { className: "bad", textContent: text })), ...run.remarks.map((text) => make("p", { className: "small", textContent: text })));
    if (run.lines.length) details.append(table(`Scores of ${run.id}`, ["step", "score, with chance and control"], run.lines.map(([step, line]) => make("tr", {}, cell(step), cell(line)))));
    details.append(...run.expects.map(([condition, holds, numbers]) => make("p", { className: "small" }, make("span", { className: holds ? "good" : "bad", textContent: holds ? "holds" : holds === false ? "does not hold" : "not decided" }), ` ${condition} (${numbers})`)));
    details.append(...run.reports.map((report) => make("p", { className: "small" }, make("a", { href: report.address, target: "_blank", rel: "noopener noreferrer", textContent: `report ${report.name}` }), " ", make("code", { textContent: report.path }))));
    const place = make("div", {});
    details.append(place);
    details.addEventListener("toggle", () => { if (details.open && !place.childElementCount) figures(run.id, place); });
    return details;
  }) : [make("p", { className: "small", textContent: "no run yet" })]);

  const killed = (state) => put("killed", JSON.stringify(state.killed), () => state.killed.map((run) => {
    const said = make("p", { className: "bad", textContent: `${run.pipeline} (${run.run}) was killed after ${seconds(run.seconds)}: process ${run.process} is gone, ${run.done} of ${run.tasks} tasks were done. What they gave is in the cache; the same command goes on from there.` });
    said.setAttribute("role", "alert");
    return said;
  }));

  // Proposals: the card as at a terminal, and a decision that counts as a client's.
  let opened = null;
  const proposals = (state) => {
    $("trouble").textContent = state.trouble ?? "";
    put("proposals", JSON.stringify(state.proposals), () => state.proposals.length ? state.proposals.map((one) => {
      const button = make("button", { type: "button", className: "link", textContent: `${one.short} ${one.intent || "no reason given"}` });
      button.dataset.key = one.id;
      button.addEventListener("click", () => open(one.id));
      return make("li", {}, make("span", { className: one.state === "waiting" ? "good" : "small", textContent: `${one.state} ` }), button);
    }) : [make("li", { className: "small", textContent: "no proposal waits for an answer" })]);
    const now = state.proposals.find((one) => one.id === opened?.id);
    if (now && opened.state !== now.state) open(now.id);
  };
  const marked = (text) => text.split("\n").flatMap((line) => {
    const sign = line.match(/^\s*([+-])\s*\d+\s/)?.[1];
    return [make("span", { className: sign === "+" ? "new" : sign === "-" ? "gone" : "", textContent: line }), "\n"];
  });
  const open = async (id, said = "") => {
    const place = $("proposal");
    let card;
    try { card = await askJson(`proposal/${id}`); } catch (error) { place.replaceChildren(make("p", { className: "bad", textContent: error.message })); return; }
    opened = { id, state: card.state === "stale" ? opened?.state : card.state };
    const text = make("pre", { tabIndex: 0 }, ...marked(card.card));
    text.setAttribute("role", "region");
    text.setAttribute("aria-label", `Card of ${card.short}`);
    const answer = make("p", { id: "answer", className: "bad", textContent: said });
    answer.setAttribute("role", "status");
    const parts = [make("h3", { textContent: `Proposal ${card.short}: ${card.state}` }), text];
    if (card.state === "waiting") {
      const typed = make("input", { id: "typed", autocomplete: "off", spellcheck: false, size: 12 }), reason = make("input", { id: "reason", autocomplete: "off", size: 40 });
      const yes = make("button", { type: "button", id: "approve", textContent: "Approve, don't run" }), no = make("button", { type: "button", id: "reject", textContent: "Reject" });
      const send = async (what, body, done) => {
        try {
          const answered = await ask(`proposal/${id}/${what}`, body);
          const reply = answered.ok ? done(await answered.json()) : await answered.text();
          await open(id, reply);
        } catch (error) { answer.textContent = `no answer: ${error.message}`; }
      };
      yes.addEventListener("click", () => send("approve", { typed: typed.value }, (reply) => `applied to ${reply.files.join(", ")}${reply.commit ? `; commit ${reply.commit.slice(0, 10)}` : ""}. To run it: neuroflow run ${card.pipeline}`));
      no.addEventListener("click", () => send("reject", { reason: reason.value }, () => "rejected"));
      if (card.here) parts.push(make("p", {}, make("label", { htmlFor: "typed", textContent: `type ${card.begins} to say yes: ` }), typed, " ", yes), make("p", { className: "small", textContent: "A yes here changes the files as shown and runs nothing. It counts as a client's." }));
      else parts.push(make("p", { className: "elsewhere" }, card.elsewhere ?? ""));
      parts.push(make("p", {}, make("label", { htmlFor: "reason", textContent: "why not? " }), reason, " ", no));
    }
    place.replaceChildren(...parts, answer);
  };

  // Scores over runs: a line for each step.
  const spark = (line) => {
    const [width, height, pad] = [220, 36, 5], values = line.points.flatMap((point) => [point.value, point.low ?? point.value, point.high ?? point.value]);
    const [low, high] = [Math.min(...values), Math.max(...values)], span = high - low || 1, n = line.points.length;
    const x = (at) => n > 1 ? pad + at * (width - 2 * pad) / (n - 1) : width / 2, y = (value) => high === low ? height / 2 : height - pad - (value - low) / span * (height - 2 * pad);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "spark" }, draw("title", {}, `${line.step} ${line.metric} over ${n} runs`), draw("desc", {}, line.points.map((point) => point.value.toPrecision(3)).join(", ")));
    line.points.forEach((point, at) => { if (point.low != null) svg.append(draw("line", { x1: x(at), x2: x(at), y1: y(point.low), y2: y(point.high) })); });
    svg.append(draw("path", { d: line.points.map((point, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(point.value).toFixed(1)}`).join("") }));
    line.points.forEach((point, at) => svg.append(draw("circle", { cx: x(at), cy: y(point.value), r: 2.5 }, draw("title", {}, `${point.run}: ${point.value.toPrecision(4)}${point.uncontrolled ? ", uncontrolled" : ""}`))));
    return svg;
  };
  const history_ = async () => {
    const lines = await askJson("history");
    put("history", JSON.stringify(lines.map((line) => [line.step, line.metric, line.points.length, line.points[line.points.length - 1]])), () => lines.length ? [table("Each step's first score over runs, those with a control first", ["pipeline", "step", "metric", "over runs", "latest", "control"], lines.map((line) => {
      const last = line.points[line.points.length - 1];
      return make("tr", {}, cell(line.pipeline), cell(line.step), cell(line.metric), make("td", {}, spark(line)), cell(last.value.toPrecision(3)), make("td", { className: last.uncontrolled ? "bad" : "", textContent: last.uncontrolled ? "uncontrolled" : "yes" }));
    }))] : [make("p", { className: "small", textContent: "no scores yet" })]);
  };

  let latest = "", refused = false;
  const once = async () => {
    const answer = await ask("state");
    if (answer.status === 401) {
      refused = true;
      $("connection").textContent = "This page's link is not valid: open the one that `neuroflow serve` printed.";
      return;
    }
    if (!answer.ok) throw new Error(await answer.text());
    const state = await answer.json();
    $("project").textContent = `neuroflow: ${state.project}`;
    document.title = `${state.live.length ? `(${state.live.length}) ` : ""}neuroflow: ${state.project}`;
    const waiting = state.proposals.filter((one) => one.state === "waiting").length;
    $("connection").textContent = `connected; ${state.live.length} running, ${waiting} waiting for a decision`;
    for (const place of [...$("live").children]) if (!state.live.some((run) => place.id === `run-${run.run}`)) { ["head", "graph", "now", "printed", "log", "figures"].forEach((name) => shown.delete(`${place.id}-${name}`)); place.remove(); }
    if (!state.live.length) { if (!$("live").childElementCount) $("live").append(make("p", { className: "small", textContent: "nothing runs in this cache" })); } else state.live.forEach(liveRun);
    killed(state);
    proposals(state);
    runs(state);
    const newest = JSON.stringify(state.runs.map((run) => run.id));
    if (newest !== latest) { await history_(); latest = newest; }
  };
  const turn = async () => {
    try { await once(); } catch (error) { $("connection").textContent = `the program does not answer (${error.message}); trying again …`; }
    if (!refused) setTimeout(turn, 1000);
  };
  // A link that is opened in the same tab again brings its own secret.
  addEventListener("hashchange", () => { if (/^#[0-9a-f]{64}$/.test(location.hash)) { sessionStorage.setItem("token", location.hash.slice(1)); history.replaceState(null, "", location.pathname); if (refused) { refused = false; turn(); } } });
  turn();
})();
