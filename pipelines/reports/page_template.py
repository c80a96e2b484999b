"""The frame of a comparison's page: its styles, and a script of a few lines for sorting, choosing and enlarging."""

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --line: #ddd; --page: #fff; --text: #222; --dim: #555 }
@media (prefers-color-scheme: dark) { :root { --line: #444; --page: #181a1b; --text: #ddd; --dim: #aaa } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 100em; padding: 0 1em;
  color: var(--text); background: var(--page) }
p, ul { max-width: 60em }
.scroll { overflow-x: auto; max-width: 100% }
table { border-collapse: collapse; font-size: 13px }
th, td { padding: .3em .6em; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
thead th { white-space: normal; min-width: 4em; max-width: 8em; vertical-align: bottom }
#runs thead th { cursor: pointer }
#runs thead th[aria-sort=ascending]::after { content: " \\25b2" }
#runs thead th[aria-sort=descending]::after { content: " \\25bc" }
#runs th:first-child { position: sticky; left: 0; background: var(--page); text-align: left }
#runs tr.hidden, figure.hidden { display: none }
.tools { font-size: 13px; color: var(--dim); display: flex; flex-wrap: wrap; gap: .3em 1em }
.tools label { white-space: nowrap }
img { max-width: 100%; cursor: zoom-in }
.row img { image-rendering: pixelated }
.row { display: flex; flex-wrap: wrap; gap: 1.5em }
figure { margin: 0 } figcaption { font-size: 13px; color: var(--dim) }
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
const real = rows().filter(row => !("run" in row.dataset));
const number = text => parseFloat(text.replaceAll(",", ""));
heads.forEach((head, column) => {
  head.title = (says[head.textContent] ?? "") + " Click to sort.";
  head.addEventListener("click", () => {
    const down = head.ariaSort === "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.ariaSort = down ? "descending" : "ascending";
    const sorted = rows().filter(row => !real.includes(row)).sort((a, b) => {
      const [x, y] = [a, b].map(row => row.cells[column].textContent);
      const [p, q] = [number(x), number(y)];
      if (isNaN(p) !== isNaN(q)) return isNaN(p) ? 1 : -1;
      return (isNaN(p) ? x.localeCompare(y) : p - q) * (down ? -1 : 1);
    });
    table.tBodies[0].append(...sorted, ...real);
  });
});
const box = (text, change) => {
  const label = document.createElement("label"), input = document.createElement("input");
  input.type = "checkbox"; input.checked = true;
  input.addEventListener("change", () => change(input.checked));
  label.append(input, " " + text);
  return label;
};
document.getElementById("columns").append(...heads.slice(1).map((head, i) => box(head.textContent, shown => {
  for (const row of [...table.tHead.rows, ...rows()]) row.cells[i + 1].style.display = shown ? "" : "none";
})));
const named = rows().map(row => row.dataset.run).filter(run => run);
const of = run => document.querySelectorAll(`[data-run="$${CSS.escape(run)}"]`);
document.getElementById("which").append(...named.map(run => box(run, shown => {
  for (const one of of(run)) one.classList.toggle("hidden", !shown);
})));
const large = document.getElementById("large");
for (const image of document.querySelectorAll("body > img, figure img")) image.addEventListener("click", () => {
  large.replaceChildren(image.cloneNode()); large.showModal();
});
large.addEventListener("click", () => large.close());
</script>
</body></html>
""")
"""Title, body (with a table `runs`, and empty elements `columns` and `which`) and, as JSON, what each column says."""
