// What a page owes to those who read it otherwise; gives the faults that it finds. A part of what axe looks at, so that it is always looked at.
(() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const visible = (element) => element.checkVisibility ? element.checkVisibility({ checkVisibilityCSS: true }) : element.offsetParent !== null;
  const nameOf = (element) => (element.getAttribute("aria-label") || (element.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ") || (element.labels && [...element.labels].map((label) => label.textContent).join(" ")) || element.textContent || element.title || "").trim();
  if (!document.documentElement.lang) faults.push("the page has no language");
  if (!document.title) faults.push("the page has no title");
  for (const landmark of ["main", "header, [role=banner]", "nav"]) if (!document.querySelector(landmark)) faults.push(`there is no ${landmark}`);
  if (all("h1").length !== 1) faults.push(`there are ${all("h1").length} first headings`);
  let level = 0;
  for (const heading of all("h1, h2, h3, h4").filter(visible)) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) faults.push(`a heading is skipped before ${heading.textContent}`);
    level = now;
  }
  for (const element of all("a[href], button, input, select, textarea, [role=region], [tabindex='0'], dialog")) if (!nameOf(element)) faults.push(`no name: ${element.outerHTML.slice(0, 120)}`);
  for (const svg of all("svg")) if (svg.getAttribute("role") !== "img" || !svg.querySelector(":scope > title")?.textContent || !svg.querySelector(":scope > desc")?.textContent) faults.push(`a drawing without title or description: ${svg.outerHTML.slice(0, 120)}`);
  for (const box of all(".scroll").filter(visible)) if ((box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) && box.tabIndex < 0 && !box.querySelector("a, button")) faults.push(`it scrolls, and keys can't: ${box.outerHTML.slice(0, 120)}`);
  const ids = all("[id]").map((element) => element.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => faults.push(`two places are called ${id}`));
  for (const link of all("a[href^='#']")) if (link.hash.length > 1 && !document.getElementById(decodeURIComponent(link.hash.slice(1)))) faults.push(`${link.hash} is nowhere`);
  for (const head of all("thead th")) if (!head.scope) faults.push(`the head ${head.textContent} has no scope`);
  // Contrast of text with what is behind it (WCAG 2.2, 1.4.3).
  const parse = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = (colour) => colour.slice(0, 3).map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4).reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => { for (let at = element; at; at = at.parentElement) { const colour = parse(getComputedStyle(at).backgroundColor); if (colour.length === 3 || colour[3] > 0.99) return colour; } return [255, 255, 255]; };
  const seen = new Set();
  for (const element of all("body *").filter((element) => !element.closest("svg") && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))) {
    if (!visible(element) || element.matches("script, style, title, option") || element.closest(".skip")) continue;
    const style = getComputedStyle(element), kind = `${style.color} ${behind(element)}`;
    if (seen.has(kind)) continue;
    seen.add(kind);
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((a, b) => b - a), contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)} of ${element.tagName} ${element.className}: ${element.textContent.trim().slice(0, 40)}`);
  }
  return faults;
})()
