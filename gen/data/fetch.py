"""Published files into `data/raw/<dataset>`: from a mirror or from their publishers, resumed, verified, all or none."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gen.data.download import copy, download, read_text
from gen.data.folder import lock, whole
from gen.data.source import Gathers, Published, check_dataset
from gen.errors import InputError
from gen.secrets import masked

PROVENANCE = "PROVENANCE.json"
DOWNLOADS = Path(".cache/downloads")
SUMS = "SHA256SUMS"
MIRRORED = f"the mirror's {SUMS}"
"""What the checksum is of a file that a mirror has."""


class Origin(NamedTuple):
    """Where one file is had from, and what it is verified against."""

    path: str
    """Its path in the raw folder."""
    place: str
    """A path or URL."""
    checksum: str | None
    verified: str
    """What the checksum is, in words."""


def fetch(
    name: str, section: Mapping[str, Any], where: str, out: Path, *, mirror: str | None, downloads: Path = DOWNLOADS
) -> list[dict[str, Any]]:
    """Fetch the files of the data set `name` into `out`, which is whole or absent, whatever happens.

    Args:
        name: the data set's name in params.yaml.
        section: its entry of `datasets`.
        where: the address of that entry, for errors.
        out: the folder to write; PROVENANCE.json in it lists the files.
        mirror: a folder or URL that holds `<source>/<file>` and SHA256SUMS; None: the publishers.
        downloads: the folder for partial downloads, and for files that a person has placed by hand.

    Raises:
        InputError: a file cannot be had, or is not what it was verified against.
    """
    kind, config, *_ = entry = check_dataset(section, where)
    source = entry.source
    with lock(out), whole(out) as partial:
        origins = _origins(kind, source.files(config), mirror, downloads)
        entries = [_bring_or_advise(origin, partial, downloads / kind) for origin in origins]
        if isinstance(source, Gathers):
            entries += [
                _entry(partial, path, found, "nothing: own files") for path, found in source.gather(partial, config)
            ]
        (partial / PROVENANCE).write_text(json.dumps({"files": entries}, indent=1) + "\n", encoding="utf-8")
    return entries


def fetch_file(kind: str, file: Published, folder: Path, *, mirror: str | None, downloads: Path = DOWNLOADS) -> Path:
    """Bring one published file into `folder`: from the mirror when it lists the file, else from its publisher.

    What was downloaded and has its published checksum is kept in `downloads`, and had from there the next time.

    Raises:
        InputError: it cannot be had, or is not what it was verified against.
    """
    kept = downloads / kind / file.path
    with lock(kept):
        if kept.is_file() and _has(kept, file.checksum):
            origin = Origin(file.path, str(kept), file.checksum, "")
        else:
            listed = mirror is not None and f"{kind}/{file.path}" in _sums(mirror)
            (origin,) = _origins(kind, [file], mirror if listed else None, downloads)
        _bring(origin, folder, downloads / kind)
        if _is_url(origin.place) and _has(folder / file.path, file.checksum):
            kept.parent.mkdir(parents=True, exist_ok=True)
            copy(folder / file.path, partial := kept.with_name(f"{kept.name}.copy"))
            partial.replace(kept)
    return folder / file.path


def verify(raw: Path, name: str) -> list[dict[str, Any]]:
    """The files that PROVENANCE.json lists in `raw`, each held against its size and sha256.

    Raises:
        InputError: PROVENANCE.json or a file is missing or damaged.
    """
    path = raw / PROVENANCE
    remedy, again = (f"run dvc repro {force}fetch@{name}" for force in ("", "-s -f "))  # DVC's cache may hold damage
    if not path.is_file():
        raise InputError(f"{path}: missing; {remedy}")
    try:
        files = json.loads(path.read_bytes())["files"]
        expected = [(raw / str(entry["file"]), int(entry["bytes"]), str(entry["sha256"])) for entry in files]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({type(error).__name__}: {error}); {again}") from None
    for file, size, sha256 in expected:
        if not file.is_file():
            raise InputError(f"{file}: missing; {remedy}")
        if file.stat().st_size != size or _digest(file, "sha256") != sha256:
            raise InputError(f"{file}: changed since it was fetched (size or sha256); {again}")
    return list(files)


def _origins(kind: str, files: Sequence[Published], mirror: str | None, downloads: Path) -> list[Origin]:
    if not files:
        return []
    if mirror is not None:
        sums = _sums(mirror)
        return [_mirrored(kind, file, mirror, sums) for file in files]
    return [_published(kind, file, downloads) for file in files]


def _sums(mirror: str) -> dict[str, str]:
    """Path -> sha256, from the mirror's SHA256SUMS."""
    place = f"{mirror.rstrip('/')}/{SUMS}"
    if _is_url(mirror):
        text = read_text(place)
    elif Path(place).is_file():
        text = Path(place).read_text(encoding="utf-8", errors="replace")
    else:
        raise InputError(f"{place}: missing; a mirror is a folder or URL with {SUMS} and <source>/<file>")
    sums = {}
    for number, line in enumerate(text.splitlines(), 1):
        digest, _, path = line.partition(" ")
        if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef") or not path.strip():
            raise InputError(f"{place}: line {number} is not '<sha256>  <path>'; write it with sha256sum")
        sums[path.strip().removeprefix("*").removeprefix("./")] = digest.lower()
    return sums


def _mirrored(kind: str, file: Published, mirror: str, sums: Mapping[str, str]) -> Origin:
    for path in (file.path, *file.instead_of):
        if (listed := f"{kind}/{path}") in sums:
            return Origin(path, f"{mirror.rstrip('/')}/{listed}", f"sha256:{sums[listed]}", MIRRORED)
    known = " or ".join(f"{kind}/{path}" for path in (file.path, *file.instead_of))
    raise InputError(f"{mirror}: its {SUMS} does not list {known}; add the file, or fetch without a mirror")


def _published(kind: str, file: Published, downloads: Path) -> Origin:
    verified = f"the published {file.checksum.partition(':')[0]}" if file.checksum else "nothing: none is published"
    for path in (file.path, *file.instead_of):
        if (placed := downloads / kind / path).is_file():
            return Origin(path, str(placed), file.checksum if path == file.path else None, verified)
    if file.url is None:
        place = downloads / kind / file.path
        raise InputError(f"{kind}/{file.path}: no direct download; {file.remedy}; place it at {place} and run again")
    return Origin(file.path, file.url, file.checksum, verified)


def _bring_or_advise(origin: Origin, folder: Path, downloads: Path) -> dict[str, Any]:
    """Bring one file; where its publisher cannot give it, the error says from where else it can be had."""
    try:
        return _bring(origin, folder, downloads)
    except InputError as error:
        if not _is_url(origin.place) or origin.verified == MIRRORED:
            raise
        named = f"{downloads.name}/{origin.path}"
        remedy = f"place it at {downloads / origin.path}, or in a mirror that GEN_MIRROR names as {named}"
        raise InputError(f"{error}; without a network {remedy}") from None


def _has(file: Path, checksum: str | None) -> bool:
    """Whether a file has the published checksum."""
    kind, _, expected = (checksum or "").partition(":")
    return bool(kind) and _digest(file, kind) == expected


def _bring(origin: Origin, folder: Path, downloads: Path) -> dict[str, Any]:
    """Bring one file into the folder and verify it."""
    target = folder / origin.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if _is_url(origin.place):
        part = downloads / f"{origin.path}.part"
        with lock(part):
            download(origin.place, part)
            _check(part, origin)
            shutil.move(part, target)
    elif Path(origin.place).is_file():
        copy(Path(origin.place), target)
        _check(target, origin)
    else:
        raise InputError(f"{origin.place}: missing, though the mirror's {SUMS} lists it; complete the mirror")
    return _entry(folder, origin.path, origin.place, origin.verified)


def _check(file: Path, origin: Origin) -> None:
    """Delete the file and raise unless it has its checksum."""
    if origin.checksum is None:
        return
    kind, _, expected = origin.checksum.partition(":")
    if (found := _digest(file, kind)) != expected:
        file.unlink()
        raise InputError(
            f"{origin.place}: {kind} is {found}, not {expected} as {origin.verified} says; "
            "what was fetched is deleted: run again, or look for a changed or damaged file there"
        )


def _entry(folder: Path, path: str, place: str, verified: str) -> dict[str, Any]:
    file = folder / path
    sha256 = _digest(file, "sha256")
    return {"file": path, "bytes": file.stat().st_size, "sha256": sha256, "from": masked(place), "verified": verified}


def _digest(file: Path, kind: str) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))
