"""A real browser that looks at a page, does something with it, and says what it sees."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser() -> str:
    """The path of an installed browser; without one the test is skipped."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no browser")
    return found


def looked_at(address: str, folder: Path, *words: str) -> str:
    """The page's elements, as HTML, once its scripts have run; the browser keeps its things in the folder."""
    fixed = ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([browser(), *fixed, *words, address], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def shown(address: str, folder: Path) -> str:
    """The text of a page that fetches what it shows."""
    dom = looked_at(address, folder, "--window-size=1500,2500", "--virtual-time-budget=15000")
    return html.unescape(re.sub(r"<[^>]*>", "", dom))


def seen(page: Path, script: str, size: tuple[int, int] = (1500, 2000)) -> Any:
    """What a function of JavaScript, given by its body, returns in the page; errors of the page's scripts fail."""
    copy = page.with_name(f"seen-{page.name}")
    watch = "<script>window.wrong = []; addEventListener('error', event => wrong.push(event.message));</script>"
    asked = f"""<script>
let said;
try {{ said = (() => {{ {script} }})(); }} catch (error) {{ wrong.push(String(error)); }}
const told = document.createElement("pre");
told.id = "told";
told.textContent = JSON.stringify({{said, wrong}});
document.body.append(told);
</script>"""
    text = page.read_text(encoding="utf-8")
    copy.write_text(text.replace("<head>", f"<head>{watch}", 1).replace("</body>", f"{asked}</body>", 1), "utf-8")
    dom = looked_at(copy.as_uri(), page.parent, f"--window-size={size[0]},{size[1]}")
    found = re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom[-2000:]
    told = json.loads(html.unescape(found[1]))
    assert told["wrong"] == []
    return told["said"]
