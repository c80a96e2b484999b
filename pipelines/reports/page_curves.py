"""The chart of curves in a comparison's page, which shows the values under the mouse."""

from collections.abc import Mapping

import pandas as pd

from gen.config.extractors import ROUNDED
from pipelines.reports.colours import palette
from pipelines.reports.curves import Curves
from pipelines.reports.lead import ranked_by
from pipelines.reports.page_template import Part, as_script
from pipelines.reports.results import Number

MOST_POINTS = 500
"""Of a curve: a chart has hardly more pixels."""


def chart(curves: Mapping[str, Mapping[str, Curves]], floor: Mapping[str, Number]) -> Part:
    """The chart, with a choice of the curve that is shown, the score that ranks checkpoints first.

    Args:
        curves: by run and training, that of the first seed first.
        floor: by score, that of real data.
    """
    colours = palette(len(curves))
    lines = [
        {
            "run": run,
            "training": training,
            "further": training != run,
            "colour": colours[i],
            "curves": {name: thinned(curve) for name, curve in told.items()},
        }
        for i, (run, trainings) in enumerate(curves.items())
        for training, told in trainings.items()
    ]
    names = dict.fromkeys(name for trainings in curves.values() for told in trainings.values() for name in told)
    real = {name: floor[bare] for name in names if (bare := name.removesuffix(ROUNDED)) in floor}
    data = {
        "lines": lines,
        "names": sorted(names, key=lambda name: not ranked_by([name])),
        "floor": {name: [one.mean, one.sd_draws] for name, one in real.items()},
    }
    return Part(BODY, f"const curves = {as_script(data)};\n{SCRIPT}")


def thinned(curve: pd.DataFrame) -> list[list[float]]:
    """Its points; of very many every so many, and the last."""
    every = -(-len(curve) // MOST_POINTS) or 1
    kept = curve[(curve.index % every == 0) | (curve.index == len(curve) - 1)]
    return [[int(step), float(f"{value:.4g}")] for step, value in zip(kept["step"], kept["value"], strict=True)]


BODY = """<p class=tools><label>Curve: <select id=curve></select></label>
<span>The mouse shows the step and value of each run. Losses of different families cannot be compared.</span></p>
<div class=narrow><div id=chart><svg viewBox="0 0 1000 420" role=img aria-label="Curves of the runs"></svg>
<div id=near hidden></div></div></div>
<p class=tools id=lines></p>"""

SCRIPT = """
const svg = document.querySelector("#chart svg"), near = document.getElementById("near");
const choice = document.getElementById("curve"), lines = document.getElementById("lines");
const short = value => Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3)
  ? value.toExponential(2) : String(+value.toPrecision(4));
const make = (name, attributes, text = "") => {
  const one = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  one.textContent = text;
  return one;
};
const left = 70, right = 985, top_ = 10, bottom = 380;
let drawn = [], toX, fromX;
const draw = () => {
  const name = choice.value, floor = curves.floor[name];
  drawn = curves.lines.filter(line => line.curves[name]?.length && shown(line.run, line.further));
  const points = drawn.flatMap(line => line.curves[name]);
  const heights = points.map(point => point[1]);
  if (floor) heights.push(floor[0]);
  svg.replaceChildren();
  near.hidden = true;
  lines.replaceChildren(...drawn.map(line => {
    const label = document.createElement("span"), mark = document.createElement("i");
    mark.style.background = line.colour;
    label.append(mark, line.training);
    return label;
  }));
  if (!heights.length) return;
  const log = Math.min(...heights) > 0, up = log ? Math.log10 : value => value;
  let [low, high] = [Math.min(...heights), Math.max(...heights)].map(up);
  if (low === high) { low -= 0.5; high += 0.5; }
  const most = Math.max(1, ...points.map(point => point[0]));
  toX = step => left + (right - left) * step / most;
  fromX = x => (x - left) / (right - left) * most;
  const toY = value => bottom - (bottom - top_) * (up(value) - low) / (high - low);
  const even = (from, to) => {
    const size = 10 ** Math.floor(Math.log10((to - from) / 4));
    const step = size * [1, 2, 5, 10].find(many => (to - from) / (size * many) <= 6);
    return Array.from({length: 8}, (_, i) => (Math.ceil(from / step) + i) * step).filter(value => value <= to);
  };
  let marks = log && high - low > 0.7 ? [] : even(...(log ? [10 ** low, 10 ** high] : [low, high]));
  if (!marks.length) for (let power = Math.floor(low); power <= high; power++)
    marks.push(...(high - low > 3 ? [1] : [1, 2, 5]).map(many => many * 10 ** power));
  for (const value of marks.filter(value => up(value) >= low && up(value) <= high)) svg.append(
    make("line", {x1: left, x2: right, y1: toY(value), y2: toY(value), class: "rule"}),
    make("text", {x: left - 6, y: toY(value) + 4, "text-anchor": "end"}, short(value)));
  for (const step of even(0, most)) svg.append(
    make("line", {x1: toX(step), x2: toX(step), y1: top_, y2: bottom, class: "rule"}),
    make("text", {x: toX(step), y: bottom + 18, "text-anchor": "middle"}, step.toLocaleString("en")));
  svg.append(make("text", {x: (left + right) / 2, y: bottom + 36, "text-anchor": "middle"}, "steps"));
  if (floor) {
    const least = log ? 10 ** low : low, [above, below] = [floor[0] + floor[1], Math.max(least, floor[0] - floor[1])];
    const [y1, y2] = [Math.max(top_, toY(above)), Math.min(bottom, toY(below))];
    svg.append(make("rect", {x: left, y: y1, width: right - left, height: Math.max(2, y2 - y1), class: "floor"}),
      make("text", {x: right - 4, y: y1 - 4, "text-anchor": "end"}, "real data"));
  }
  for (const line of drawn) {
    const path = line.curves[name].map(([x, y], i) => `${i ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`);
    const one = make("path", {d: path.join(""), stroke: line.colour, class: line.further ? "further" : ""});
    one.dataset.line = line.training;
    svg.append(one);
    if (line.curves[name].length <= 60) for (const [x, y] of line.curves[name])
      svg.append(make("circle", {cx: toX(x), cy: toY(y), r: 2.5, fill: line.colour}));
  }
  svg.append(make("line", {x1: 0, x2: 0, y1: top_, y2: bottom, id: "cursor", visibility: "hidden"}));
};
svg.addEventListener("mousemove", event => {
  if (!drawn.length) return;
  const box = svg.getBoundingClientRect(), step = fromX((event.clientX - box.left) / box.width * 1000);
  const closest = line => line.curves[choice.value].reduce(
    (best, point) => Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best);
  const found = drawn.map(line => [line, ...closest(line)]).sort((a, b) => b[2] - a[2]);
  near.replaceChildren(...found.map(([line, at, value]) => {
    const row = document.createElement("div"), mark = document.createElement("i");
    mark.style.background = line.colour;
    row.append(mark, `${line.training}: ${short(value)} at step ${at.toLocaleString("en")}`);
    return row;
  }));
  const cursor = document.getElementById("cursor"), at = toX(found.map(one => one[1]).reduce(
    (best, other) => Math.abs(other - step) < Math.abs(best - step) ? other : best));
  for (const end of ["x1", "x2"]) cursor.setAttribute(end, at);
  cursor.setAttribute("visibility", "visible");
  near.hidden = false;
  const x = event.clientX - box.left;
  near.style.left = x > box.width / 2 ? "" : `${x + 16}px`;
  near.style.right = x > box.width / 2 ? `${box.width - x + 16}px` : "";
});
svg.addEventListener("mouseleave", () => {
  near.hidden = true;
  document.getElementById("cursor")?.setAttribute("visibility", "hidden");
});
choice.append(...curves.names.map(name => new Option(name.replaceAll("_", " "), name)));
choice.addEventListener("change", draw);
document.addEventListener("chosen", draw);
draw();
"""
