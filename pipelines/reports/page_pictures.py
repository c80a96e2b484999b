"""Pictures in the page of a comparison: inside of the file, side by side, each under the name of its training."""

import base64
import html
import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from gen.errors import InputError
from pipelines.reports.page_template import marks


def figures(pictures: Iterable[tuple[str, str, bytes]]) -> str:
    """Pictures side by side: of which run and which training, and the picture."""
    shown = [
        f"<figure {marks(run, training != run)}>{image(content)}"
        f"<figcaption>{html.escape(training)}</figcaption></figure>"
        for run, training, content in pictures
    ]
    return f"<div class=row>{''.join(shown)}</div>"


def whole_picture(path: Path, stage: str) -> bytes:
    """A picture that a stage made. Raises InputError when it is missing or damaged."""
    try:
        content = path.read_bytes()
        Image.open(io.BytesIO(content)).load()
    except Exception:  # Pillow raises whatever damaged bytes lead it to
        raise InputError(f"{path}: damaged; run dvc repro -s -f {stage}") from None
    return content


def image(content: bytes) -> str:
    """The PNG or GIF inside the page."""
    kind = "gif" if content.startswith(b"GIF8") else "png"
    return f'<img alt="" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
