import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gen.data.dataset import Dataset
from gen.data.fetch import fetch
from gen.data.prepare import prepare
from gen.errors import InputError

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def section(**changes: Any) -> dict[str, Any]:
    usual = {"folder": "mine", "csv": None, "resolution": 8, "channels": 3, "validation": 0.2, "test": 0.1}
    return {"source": "images", **usual, **changes}


def build(values: dict[str, Any]) -> Dataset:
    fetch("own", values, "own", Path("raw"), mirror=None)
    return prepare("own", values, "own", Path("raw"), Path("own"))


@pytest.fixture
def mine(workplace: Path) -> Path:
    """Ten pictures of each colour, in folders of their names, in several formats and sizes."""
    for number, (name, colour) in enumerate(COLOURS.items()):
        (workplace / "mine" / name).mkdir(parents=True)
        for i in range(10):
            suffix = ("png", "bmp", "webp", "ppm")[i % 4]
            Image.new("RGB", (10 + i, 20 - number), colour).save(
                workplace / "mine" / name / f"{i}.{suffix}", lossless=True
            )
    return workplace / "mine"


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def test_classes_are_sub_folders(mine: Path) -> None:
    (mine / ".hidden").write_text("left alone")
    dataset = build(section())
    assert dataset.rows == {"train": 21, "validation": 6, "test": 3}
    assert dataset.classes == ("blue", "green", "red")
    ids = []
    for split in dataset.rows:
        rows = dataset.read(split)
        ids += rows.ids
        for image, label, name in zip(rows.images, rows.labels, rows.ids, strict=True):
            assert name.startswith(dataset.classes[label] + "/")
            assert (image == np.array(COLOURS[dataset.classes[label]])[:, None, None]).all()
    assert sorted(ids) == sorted(path.relative_to(mine).as_posix() for path in mine.glob("*/*"))


def test_equal_files_are_in_one_split(mine: Path) -> None:
    for number in range(60):
        (mine / "red" / f"copy{number}.png").write_bytes(png(noise(8, 8 + number % 20)))  # each picture three times
    dataset = build(section())
    where: dict[bytes, set[str]] = {}
    for split in dataset.rows:
        for name in dataset.read(split).ids:
            where.setdefault((mine / name).read_bytes(), set()).add(split)
    assert {len(splits) for splits in where.values()} == {1}
    assert all(rows > 5 for rows in dataset.rows.values())


def test_same_folder_same_bytes(mine: Path) -> None:
    first = build(section()).digest
    (mine / "red" / "0.png").touch()
    assert build(section()).digest == first


def test_a_csv_names_the_classes(mine: Path) -> None:
    pictures = sorted(mine.glob("*/*"))
    rows = [f"{path.relative_to(mine)},{10 - i % 3}" for i, path in enumerate(pictures[:12])]
    (mine / "list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    dataset = build(section(folder=None, csv="mine/list.csv", validation=0, test=0))
    assert dataset.classes == ("8", "9", "10")
    read = dataset.read("train")
    assert read.ids == sorted(row.split(",")[0] for row in rows)
    assert {f"{name},{dataset.classes[label]}" for name, label in zip(read.ids, read.labels, strict=True)} == set(rows)


@pytest.mark.parametrize("name", ["a.png", "Screenshot at 3.04.05\u202fPM.png"])
def test_without_classes(name: str, workplace: Path) -> None:
    Path("mine").mkdir()
    noise(9, 9).save(f"mine/{name}")
    dataset = build(section(validation=0, test=0, channels=1))
    assert dataset.classes == ()
    assert dataset.read("train").images.shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("red/x.jpg", b"", "red/x.jpg: not a whole .*; mend or remove it in mine, then dvc repro -s -f fetch@raw$"),
        ("red/x.jpg", b"GIF89a", "pictures.zip: red/x.jpg: not a whole picture"),
        ("red/x.png", png(noise(50, 50))[:-2000], "pictures.zip: red/x.png: not a whole picture"),
        ("red/notes.txt", b"hello", r"mine/red/notes.txt: not a picture \(.jpg, .*\); move it out"),
        ("red/a\nb.png", png(noise(5, 5)), r"mine: 'red/a\\nb.png': no name for a member of an archive; rename"),
        ("red/a\\b.png", png(noise(5, 5)), "mine: .*no name for a member of an archive; rename"),
        ("red/\udcff.png", png(noise(5, 5)), "mine: .*no name for a member of an archive; rename"),
        ("x.png", png(noise(5, 5)), "mine/x.png: outside the sub-folders, which are the classes"),
    ],
)
def test_bad_folders(mine: Path, name: str, content: bytes, line: str) -> None:
    (mine / name).write_bytes(content)
    with pytest.raises(InputError, match=line):
        build(section())
    assert not Path("own").exists()


def test_all_that_is_wrong_with_a_folder_is_said_at_once(mine: Path) -> None:
    (mine / "red" / "notes.txt").write_text("hello")
    (mine / "green" / "moving.gif").write_bytes(b"GIF89a")
    (mine / "loose.png").write_bytes(png(noise(5, 5)))
    (mine / "blue" / "again.png").symlink_to((mine / "blue" / "0.png").resolve())
    with pytest.raises(InputError) as caught:
        build(section())
    moving, notes, loose, again = str(caught.value).split("; mine")
    assert (
        moving
        == "mine/green/moving.gif: .gif is not read; save it as one of .jpg, .jpeg, .png, .webp, .bmp, .ppm, .pgm"
    )
    assert notes.startswith("/red/notes.txt: not a picture")
    assert loose.startswith("/loose.png: outside the sub-folders")
    assert again == ": 'blue/0.png' and 'blue/again.png' are one picture; name it once"


def test_all_damaged_pictures_are_named_at_once(mine: Path) -> None:
    for i in range(30):
        (mine / "red" / f"x{i:02}.jpg").write_bytes(b"damaged")
    with pytest.raises(InputError) as caught:
        build(section())
    message = str(caught.value)
    assert "\n" not in message
    assert [f"x{i:02}" in message for i in range(30)] == [True] * 20 + [False] * 10
    assert message.endswith("; and 10 more; mend or remove it in mine, then dvc repro -s -f fetch@raw")
    assert not Path("own").exists()


def test_all_that_is_wrong_with_a_csv_is_said_at_once(mine: Path) -> None:
    (mine / "list.csv").write_text("path,label\nred/0.png,x\nred/77.png,x\n/etc/passwd,x\nred/4.png,\n")
    with pytest.raises(InputError, match=r"row 3: .* is not there.*row 4: .* leads out.*row 5: .* has no label"):
        build(section(folder=None, csv="mine/list.csv"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "row 1: columns none; expected path and label alone"),
        ("path,label\n", "lists no picture"),
        ("file,label\na,b\n", "row 1: columns 'file', 'label'; expected path and label alone"),
        ("path;label\nred/0.png;x\n", "row 1: columns 'path;label'; expected path and label alone"),
        (
            "path,label,split\nred/0.png,x,train\nred/1.png,y,test\n",
            "row 1: columns 'path', 'label', 'split'; expected",
        ),
        ("path,label,label\nred/0.png,x,y\n", "row 1: columns 'path', 'label', 'label'; expected"),
        ("path,label\nred/0.png\n", "row 2: expected a path and a label"),
        ("path,label\n,x\n", "row 2: expected a path and a label"),
        ("path,label\nred/0.png,dog, large\n", "row 2: expected a path and a label .in quotes where it has a comma"),
        ('path,label\n"red/0.png,x\nred/1.png,y\n', "not a CSV file .unexpected end of data"),
        ("path,label\nred/0.png,x\n\nred/4.png,\n", "row 4: 'red/4.png' has no label, others have one; give it one"),
        ("path,label\n/etc/passwd,x\n", "row 2: '/etc/passwd' leads out of its folder"),
        ("path,label\n../x.png,x\n", "row 2: '../x.png' leads out of its folder"),
        ("path,label\nred/77.png,x\n", "row 2: 'red/77.png' is not there"),
        ("path,label\nred/0.png,x\nred/0.png,y\n", "row 3: 'red/0.png' occurs twice"),
        ("path,label\nred/0.png,x\n./red/0.png,y\n", "'./red/0.png' and 'red/0.png' are one picture; name it once"),
        ("path,label\nred/0.png,dog \n", "row 2: label 'dog ' has spaces around it or a control character"),
        ("path,label\nred/0.png,a\0b\n", r"row 2: label 'a\\x00b' has spaces around it or a control character"),
        ("path,label\n\xff,x\n", "not a CSV file"),
    ],
)
def test_bad_csv(mine: Path, text: str, line: str) -> None:
    (mine / "list.csv").write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match=f"^mine.*: .*{line}"):
        build(section(folder=None, csv="mine/list.csv"))
    assert not Path("raw").exists()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"csv": "list.csv"}, "give either folder or csv"),
        ({"folder": None}, "give either folder or csv"),
        ({"validation": 0.5, "test": 0.5}, "leave nothing to train on"),
        ({"folder": "nowhere"}, "nowhere: no such folder"),
        ({"folder": None, "csv": "no.csv"}, "no.csv: no such file"),
        ({"channels": 2}, "own.channels"),
    ],
)
def test_bad_sections(mine: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        build(section(**changes))


def test_shares_that_leave_nothing_to_train_on(mine: Path) -> None:
    with pytest.raises(InputError, match=r"validation 0.5 and test 0.49 leave none of \d+ pictures to train on"):
        build(section(validation=0.5, test=0.49))
    assert not Path("own").exists()


def test_a_link_to_nothing(mine: Path) -> None:
    (mine / "red" / "link.png").symlink_to("/nonexistent.png")
    with pytest.raises(InputError, match=r"red/link.png: a link to what is not there; take it out"):
        build(section())


def folders(*names: str) -> None:
    for name in names:
        Path(name).mkdir(parents=True)
        for i in range(3):
            noise(9 + i, 9).save(f"{name}/{i}.png")


def test_a_pipe_is_no_picture(mine: Path) -> None:
    os.mkfifo(mine / "red" / "a.png")  # who opens it waits for ever
    with pytest.raises(InputError, match=r"^mine/red/a.png: neither a file nor a folder; take it out of the folder$"):
        build(section())


def test_links_to_folders_and_pictures_are_followed(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders("mine/cat", "elsewhere/dog", "elsewhere/other")
    Path("mine/dog").symlink_to(Path("elsewhere/dog").resolve())
    Path("mine/cat/linked.png").symlink_to(Path("elsewhere/other/0.png").resolve())
    dataset = build(section(validation=0, test=0))
    assert dataset.classes == ("cat", "dog")
    read = dataset.read("train")
    assert read.ids == ["cat/0.png", "cat/1.png", "cat/2.png", "cat/linked.png", "dog/0.png", "dog/1.png", "dog/2.png"]
    assert read.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("target", ["mine", ".", "mine/cat"])
def test_links_that_have_no_end(workplace: Path, target: str) -> None:
    folders("mine/cat")
    Path("mine/cat/again").symlink_to(Path(target).resolve())
    with pytest.raises(InputError, match=r"^mine/cat/again: a link to a folder that holds it; take it out$"):
        build(section())


@pytest.mark.parametrize("linked", ["mine/dog", "mine/cat/copy.png"])
def test_a_picture_under_two_names(workplace: Path, linked: str) -> None:
    folders("mine/cat")
    Path(linked).symlink_to(Path("mine/cat" if linked == "mine/dog" else "mine/cat/0.png").resolve())
    with pytest.raises(InputError, match=r"^mine: 'cat/0.png' and '.*' are one picture; name it once$"):
        build(section())


def test_what_is_left_out_is_named(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders("mine/cat", "mine/.thumbnails", "mine/dog")
    Path("mine/empty/inner").mkdir(parents=True)
    for system in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (Path("mine/dog") / system).write_bytes(b"")
    assert build(section(validation=0, test=0)).classes == ("cat", "dog")
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "mine: left out, as hidden or without a picture: '.thumbnails', 'dog/.DS_Store', 'dog/Thumbs.db', "
        "'dog/desktop.ini', 'empty/inner' and 1 more"
    )


def test_the_background_is_the_sections_and_the_manifest_says_it(workplace: Path) -> None:
    """Half of the picture shows nothing, but holds red; the other half is blue."""
    Path("mine").mkdir()
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :4] = (255, 0, 0, 0)
    pixels[:, 4:] = (0, 0, 255, 255)
    Image.fromarray(pixels).save("mine/a.png")
    with pytest.raises(InputError, match=r"a.png: not opaque, .* a background such as \[255, 255, 255\]"):
        build(section(validation=0, test=0))
    dataset = build(section(validation=0, test=0, background=[10, 20, 30]))
    (image,) = dataset.read("train").images
    assert image[:, :, :4].transpose(1, 2, 0).reshape(-1, 3).tolist() == [[10, 20, 30]] * 32
    assert image[:, :, 4:].transpose(1, 2, 0).reshape(-1, 3).tolist() == [[0, 0, 255]] * 32
    settings = dataset.manifest["settings"]
    assert settings["background"] == [10, 20, 30]
    assert settings["depth"] == "8 bits a channel; of 16 the upper 8"
    with pytest.raises(InputError, match=r"own\.background"):
        build(section(background=[0, 0, 256]))
