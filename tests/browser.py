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


def seen(page: Path, script: str, size: tuple[int, int] = (1500, 2000)) -> Any:
    """What a function of JavaScript, given by its body, returns in the page; errors of the page's scripts fail."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no browser")
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
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={size[0]},{size[1]}", "--dump-dom"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [browser, *words, profile, copy.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    told = json.loads(html.unescape(found[1]))
    assert told["wrong"] == []
    return told["said"]
