"""Films as people's players read them."""

import io

import numpy as np
import torch
from PIL import Image

from gen.figures.film import SIDE, as_sheet, frames, gif, mp4, there_and_back


def rising(channels: int, steps: int = 6) -> torch.Tensor:
    """A sheet of 3 rows whose columns become lighter."""
    light = torch.linspace(-1, 1, steps)
    return light[None, :, None, None, None].expand(3, steps, channels, 5, 7).contiguous()


def test_a_frame_has_a_column_of_the_sheet() -> None:
    shown = frames(rising(1))
    assert len(shown) == 6
    assert np.asarray(shown[0])[0, 0] == 0
    assert np.asarray(shown[-1])[0, 0] == 255
    there = there_and_back(shown)
    assert [there.index(one) for one in there[6:]] == [4, 3, 2, 1]


def test_a_gif_goes_round_and_has_every_frame() -> None:
    for channels, off in ((1, 0), (3, 3)):
        with Image.open(io.BytesIO(gif(frames(rising(channels)), fps=10))) as film:
            assert (film.n_frames, film.info["loop"], film.info["duration"]) == (6, 0, 100)  # type: ignore[attr-defined]
            assert min(film.size) >= SIDE
            light = []
            for number in range(6):
                film.seek(number)
                light.append(int(np.asarray(film.convert("L"))[0, 0]))
        assert np.allclose(light, [0, 51, 102, 153, 204, 255], atol=off)


def test_an_mp4_is_read_again() -> None:
    import av

    for channels in (1, 3):
        with av.open(io.BytesIO(mp4(frames(rising(channels)), fps=8))) as film:
            (stream,) = film.streams.video
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert stream.average_rate == 8
            assert stream.width % 2 == stream.height % 2 == 0
            light = [int(frame.to_ndarray(format="gray")[9, 9]) for frame in film.decode(stream)]
        assert np.allclose(light, [0, 51, 102, 153, 204, 255], atol=24), light
        assert light == sorted(light)


def test_images_fill_a_sheet() -> None:
    sheet = as_sheet(torch.zeros(5, 1, 2, 2), 4)
    assert sheet.shape == (2, 4, 1, 2, 2)
    assert sheet.flatten(0, 1)[:, 0, 0, 0].tolist() == [0] * 5 + [1] * 3
