"""The frame of a comparison's page: its styles, and a script of a few lines for sorting, choosing and enlarging."""

import html
import json
from string import Template
from typing import NamedTuple


class Part(NamedTuple):
    """A part of the page."""

    body: str
    """HTML."""
    script: str = ""
    """JavaScript, which runs after the frame's."""


def marks(run: str, further: bool) -> str:
    """The attributes of an element that is of a run, so that it is hidden with it; `further`: of another seed's."""
    return f'data-run="{html.escape(run)}"' + (" data-further class=hidden" if further else "")


def as_script(data: object) -> str:
    """As JavaScript inside HTML."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --line: #ddd; --page: #fff; --text: #222; --dim: #555 }
@media (prefers-color-scheme: dark) { :root { --line: #444; --page: #181a1b; --text: #ddd; --dim: #aaa } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 100em; padding: 0 1em;
  color: var(--text); background: var(--page) }
p, ul { max-width: 60em }
.warning { border-left: .3em solid #d62728; padding-left: .7em }
.scroll { overflow-x: auto; max-width: 100% }
table { border-collapse: collapse; font-size: 13px }
th, td { padding: .3em .6em; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
thead th { white-space: normal; max-width: 11em; text-wrap: balance; vertical-align: bottom }
#runs thead th { cursor: pointer }
#runs thead th[aria-sort=ascending]::after { content: " \\25b2" }
#runs thead th[aria-sort=descending]::after { content: " \\25bc" }
#runs th:first-child { position: sticky; left: 0; background: var(--page); text-align: left }
#runs tr[data-further] th { font-weight: normal; padding-left: 2em }
#runs button { border: none; background: none; color: inherit; cursor: pointer; padding: 0 .4em 0 0 }
.hidden { display: none }
.tools { font-size: 13px; color: var(--dim); display: flex; flex-wrap: wrap; gap: .3em 1em; align-items: center }
.tools label { white-space: nowrap }
#step { width: 24em; max-width: 60vw; vertical-align: middle }
img { max-width: 100%; cursor: zoom-in }
.wide img { max-width: max(100%, 60em) }
.row img { image-rendering: pixelated }
.row { display: flex; flex-wrap: wrap; gap: 1.5em }
figure { margin: 0 } figcaption { font-size: 13px; color: var(--dim) }
#chart { position: relative; max-width: 75em }
#chart svg { width: 100%; font-size: 12px }
#chart text { fill: var(--dim) } .rule { stroke: var(--line) } #cursor { stroke: var(--dim) }
#chart path { fill: none; stroke-width: 1.8 } #chart path.further { stroke-dasharray: 5 3 }
.floor { fill: #8884 }
@media (max-width: 45em) { .narrow { overflow-x: auto } .narrow #chart { width: 45em } }
#near { position: absolute; top: 1em; pointer-events: none; padding: .4em .7em; font-size: 12px;
  background: var(--page); border: 1px solid var(--line); white-space: nowrap }
#near i, #lines i { display: inline-block; width: .8em; height: .8em; margin-right: .4em }
dialog { padding: 0; border: none; max-width: 98vw; max-height: 98vh; overflow: auto; background: var(--page) }
dialog::backdrop { background: #000b }
dialog img { image-rendering: pixelated; min-width: min(90vw, 60em); display: block; cursor: zoom-out }
</style></head><body>
$body
<dialog id="large"></dialog>
<script>
const says = $says;
const table = document.getElementById("runs"), heads = [...table.tHead.rows[0].cells];
const rows = () => [...table.tBodies[0].rows];
const further = row => "further" in row.dataset;
const real = rows().filter(row => !("run" in row.dataset));
const number = text => parseFloat(text.replaceAll(",", ""));
const tried = [...document.querySelectorAll("[data-shows]")], opened = new Set();
const hidden = new Set(tried.map(one => one.dataset.shows));
const shown = (run, further) => !hidden.has(run) && (!further || opened.has(run));
const refresh = () => {
  for (const one of document.querySelectorAll("[data-run]"))
    one.classList.toggle("hidden", !shown(one.dataset.run, further(one)));
  document.dispatchEvent(new Event("chosen"));
};
const change = (set, one, inside) => { inside ? set.add(one) : set.delete(one); refresh(); };
heads.forEach((head, column) => {
  head.title = (says[head.textContent] ?? "") + " Click to sort.";
  head.addEventListener("click", () => {
    const down = head.ariaSort === "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.ariaSort = down ? "descending" : "ascending";
    const trainings = rows().filter(further);
    const sorted = rows().filter(row => !real.includes(row) && !further(row)).sort((a, b) => {
      const [x, y] = [a, b].map(row => row.cells[column].textContent);
      const [p, q] = [number(x), number(y)];
      if (isNaN(p) !== isNaN(q)) return isNaN(p) ? 1 : -1;
      return (isNaN(p) ? x.localeCompare(y) : p - q) * (down ? -1 : 1);
    });
    const beneath = row => trainings.filter(other => other.dataset.run === row.dataset.run);
    table.tBodies[0].append(...sorted.flatMap(row => [row, ...beneath(row)]), ...real);
  });
});
const box = (text, checked, change) => {
  const label = document.createElement("label"), input = document.createElement("input");
  input.type = "checkbox"; input.checked = checked;
  input.addEventListener("change", () => change(input.checked));
  label.append(input, " " + text);
  return label;
};
const column = (head, i) => {
  const show = shown => {
    for (const row of [...table.tHead.rows, ...rows()]) row.cells[i].style.display = shown ? "" : "none";
  };
  const folded = "folded" in head.dataset;
  show(!folded);
  return box(head.textContent, !folded, show);
};
const boxes = heads.map((head, i) => i ? column(head, i) : null);
const folded = boxes.filter((one, i) => "folded" in heads[i].dataset);
document.getElementById("columns").append(...boxes.filter(one => one && !folded.includes(one)));
document.getElementById("settings").append(...folded.length ? [box("all hyperparameters", false, shown => {
  for (const one of folded) if (one.firstChild.checked !== shown) one.firstChild.click();
})] : [], ...folded);
const named = rows().filter(row => "run" in row.dataset && !further(row) && !hidden.has(row.dataset.run))
  .map(row => row.dataset.run);
for (const one of tried) one.addEventListener("change", () => change(hidden, one.dataset.shows, !one.checked));
refresh();
document.getElementById("which").append(...named.map(run => box(run, true, shown => change(hidden, run, !shown))));
for (const button of document.querySelectorAll("#runs button")) button.addEventListener("click", () => {
  const open = button.ariaExpanded !== "true";
  button.ariaExpanded = String(open);
  button.textContent = open ? "\\u25be" : "\\u25b8";
  change(opened, button.closest("tr").dataset.run, open);
});
const large = document.getElementById("large");
for (const image of document.querySelectorAll(".wide img, figure img")) image.addEventListener("click", () => {
  large.replaceChildren(image.cloneNode()); large.showModal();
});
large.addEventListener("click", () => large.close());
$scripts
</script>
</body></html>
""")
"""Title, body (with a table `runs`, and empty elements `columns`, `settings` and `which`), as JSON what each column
says, and the scripts of the parts."""
