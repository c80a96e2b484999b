"""The page itself: one file with its styles and its script, which asks the server for numbers and pictures alone."""

import html
import json
from string import Template

from gen.abilities import Conditional, Inference
from pipelines.explore.explored import Explored
from pipelines.explore.script import SCRIPT

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --line: #ddd; --page: #fff; --text: #222; --dim: #555; --mark: #d62728 }
@media (prefers-color-scheme: dark) { :root { --line: #444; --page: #181a1b; --text: #ddd; --dim: #aaa } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 1em auto 3em; max-width: 80em; padding: 0 1em;
  color: var(--text); background: var(--page) }
h1 { font-size: 1.5em; margin: 0 } h2 { font-size: 1.1em; margin: 0 0 .3em }
p { margin: .2em 0 .6em; max-width: 45em } .dim { color: var(--dim); font-size: 13px }
main { display: grid; grid-template-columns: minmax(0, 1fr) 23em; gap: 0 2.5em; align-items: start; margin-top: 1em }
section { margin-bottom: 1.8em }
.tools { display: flex; flex-wrap: wrap; gap: .4em .9em; align-items: center; margin-bottom: .6em }
input[type=number] { width: 7em }
button, select, input[type=number] { font: inherit; padding: .15em .6em }
.cells { display: grid; gap: 4px; max-width: 44em }
#samples { grid-template-columns: repeat(8, minmax(0, 1fr)) }
.cell { position: relative; padding: 0; border: 2px solid transparent; background: none; cursor: pointer }
.cell.chosen, #chosen .cell { border-color: var(--mark) }
.cell b { position: absolute; left: 0; top: 0; background: var(--mark); color: #fff; font-size: 12px; padding: 0 .4em }
canvas { width: 100%; display: block; background: #8883 } canvas.small { image-rendering: pixelated }
#path { grid-template-columns: repeat(9, minmax(0, 1fr)) }
#chosen { display: flex; gap: 4px; min-height: 2em } #chosen .cell { width: 4em; cursor: default }
#plane { position: relative; max-width: 44em; touch-action: none; cursor: crosshair }
#plane i { position: absolute; width: 14px; height: 14px; margin: -8px; border: 2px solid #fff; border-radius: 50%;
  outline: 2px solid var(--mark); pointer-events: none }
aside { position: sticky; top: 1em; max-height: calc(100vh - 2em); overflow-y: auto }
#now { display: flex; gap: 1em; flex-wrap: wrap; background: var(--page) }
#now > div:first-child { width: 100%; max-width: 18em }
.slider { display: grid; grid-template-columns: 9em minmax(0, 1fr) 3.2em; gap: .6em; align-items: center }
.slider { font-size: 13px }
.slider output { text-align: right; font-variant-numeric: tabular-nums }
#sliders { max-height: 22em; overflow-y: auto }
#drop { border: 2px dashed var(--line); padding: .8em; display: flex; gap: 1em; align-items: center }
#drop.over { border-color: var(--mark) } #drop img { width: 5em; image-rendering: pixelated }
#status { position: fixed; left: 0; right: 0; bottom: 0; padding: .5em 1em; background: var(--mark); color: #fff }
[hidden] { display: none !important }
@media (max-width: 50em) {
  main { display: flex; flex-direction: column; align-items: stretch } aside { display: contents }
  #now { position: sticky; top: 0; z-index: 1; order: -1; padding: .5em 0; flex-wrap: nowrap; margin-bottom: 1em;
    border-bottom: 1px solid var(--line) }
  #now > div:first-child { width: 8em; flex: none }
  #samples { grid-template-columns: repeat(4, minmax(0, 1fr)) }
  .slider { grid-template-columns: 7em minmax(0, 1fr) 3.2em } .slider input { min-height: 2em }
}
</style></head><body>
<h1>$title</h1>
<p class=dim>$about</p>
<main>
<div>
<section><h2>Samples</h2>
<div class=tools>
<select id=source aria-label="where samples come from"></select>
<label>seed <input id=seed type=number min=0 value=0></label>
<button id=more>others</button>
<label id=asked hidden>$condition <select id=condition></select></label>
</div>
<div id=samples class=cells></div>
<p class=dim>A click shows a sample and chooses it. Two make a path, three a plane, the next begins anew.</p>
<div class=tools><div id=chosen aria-label="chosen"></div>
<button id=choose>choose the picture</button><button id=clear hidden>choose none</button></div>
</section>
<section id=between hidden><h2>Path from A to B</h2>
<div class=tools>
<label><input type=radio name=way value="" checked> great circle</label>
<label><input type=radio name=way value=straight> straight line</label>
</div>
<div id=path class=cells></div>
<p id=lengths class=dim></p>
</section>
<section><h2>Plane</h2>
<p id=corners class=dim></p>
<div id=plane tabindex=0 aria-label="a plane of latent space; drag, or use the arrow keys"><canvas></canvas>
<i hidden></i></div>
</section>
</div>
<aside>
<section id=now><div><canvas id=picture aria-label="the picture"></canvas></div>
<div><h2>Picture</h2><p id=which class=dim></p>
<div class=tools><button id=save>save</button></div></div>
</section>
<section id=attributes><h2>Attributes</h2>
<p class=dim>$sliders</p>
<div id=sliders></div>
<div class=tools><button id=reset hidden>all to 0</button></div>
</section>
<section id=own><h2>Your own picture</h2>
<label id=drop><img alt="" hidden><span class=dim>$own</span>
<input id=file type=file accept="image/jpeg,image/png,image/webp,image/bmp,.ppm" hidden></label>
</section>
</aside>
</main>
<div id=status role=status hidden></div>
<script>
const model = $model;
$script
</script>
</body></html>
""")
"""What it is called, what the model is, what its condition is, of its sliders and of own pictures, and the model as
JSON."""


def page(explored: Explored, title: str) -> str:
    """The page of a model, in HTML."""
    model, family = explored.model, explored.family
    dataset = model.notes.get("dataset")
    trained = f", trained on {dataset['name']}" if isinstance(dataset, dict) and "name" in dataset else ""
    shape = "x".join(map(str, model.data.image))
    about = f"{model.name}{trained}: images of {shape} from latent vectors of {explored.latent_dim} dimensions"
    reason = explored.takes_pictures
    encodes = isinstance(family, Inference)
    becomes = "encoded" if encodes else "projected: the latent vector is searched for whose image is nearest"
    conditions_on = list(family.conditions_on) if isinstance(family, Conditional) else []
    described = {
        "image": list(model.data.image),
        "latentDim": explored.latent_dim,
        "sources": explored.sources,
        "conditions": explored.conditions,
        "vectors": list(explored.vectors),
        "own": not reason,
    }
    texts = {
        "title": title,
        "about": about,
        "condition": "class" if conditions_on == ["labels"] else ", ".join(conditions_on),
        "sliders": "How often the vector of each attribute is added to the latent vector."
        if explored.vectors
        else "None: they need an encoder and a data set with labels in data/prepared, or --vectors FILE.npz.",
        "own": reason or f"Drop a picture anywhere, or click to choose one. Its centre square is {becomes}.",
    }
    escaped = {name: html.escape(text) for name, text in texts.items()}
    return PAGE.substitute(escaped, model=json.dumps(described).replace("<", "\\u003c"), script=SCRIPT)
