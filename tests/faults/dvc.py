"""Damage of what DVC keeps."""

import json
from pathlib import Path

import yaml

from tests.faults.checkpoints import cut, flip
from tests.faults.matrix import fault
from tests.faults.place import Failed, Place, Repository

SHARD = "data/prepared/ring8/train-00000.parquet"


def mended(place: Repository, *remedy: str) -> str:
    """Repro fails, and the remedy, a command, helps it."""
    process = place.dvc_starts("repro", "train@ring")
    text = place.ends(process, 255, 1)
    if remedy[0] == "rm":
        (place.folder / remedy[1]).unlink()
    else:
        place.git(*remedy[1:])
    place.ends(place.dvc_starts("repro", "train@ring"), 0)
    return f"dvc says so ({text.splitlines()[-1][:60]}); `{' '.join(remedy)}`, then repro trains"


@fault("empty .dvc/tmp/rwlock, as a power cut leaves it", Repository)
def rwlock(place: Repository) -> str:
    place.hurt()
    (place.folder / ".dvc/tmp/rwlock").write_text("")
    return mended(place, "rm", ".dvc/tmp/rwlock")


@fault("dvc.lock truncated", Repository)
def lock(place: Repository) -> str:
    place.hurt()
    cut(place.folder / "dvc.lock", place)
    return mended(place, "git", "checkout", "dvc.lock")


@fault("a shard deleted", Repository)
def deleted(place: Repository) -> str:
    place.hurt()
    (place.folder / SHARD).unlink()
    place.ends(place.dvc_starts("repro", "train@ring"), 0)
    return "repro prepares it again, and trains"


@fault("one bit of a shard flipped, and `gen train` without DVC", Repository)
def flipped(place: Repository) -> str:
    place.hurt()
    path = place.folder / SHARD
    content = path.read_bytes()
    path.unlink()  # it may be a link to the cache
    path.write_bytes(content)
    flip(path, place)
    text = place.ends(place.start("train", "ring"), 1)
    if SHARD.rsplit("/", 1)[1] not in text:
        raise Failed(text.splitlines()[-1])
    place.ends(place.dvc_starts("repro", "train@ring"), 0)
    return "one line names it; repro prepares it again, and trains"


@fault("an object of DVC's cache truncated", Repository)
def cached(place: Repository) -> str:
    place.hurt()
    path = place.folder / SHARD
    folder = yaml.safe_load((place.folder / "dvc.lock").read_text())["stages"]["prepare@ring8"]["outs"][0]["md5"]
    entries = json.loads(object_of(place, folder).read_text())
    (digest,) = [entry["md5"] for entry in entries if entry["relpath"] == path.name]
    kept = object_of(place, digest)
    kept.chmod(0o644)
    cut(kept, place)
    kept.chmod(0o444)
    for one in path.parent.iterdir():
        one.unlink()
    text = place.ends(place.dvc_starts("repro", "train@ring"), 0, 1, 255)
    if path.name not in text:
        return "repro prepares it again, and trains"
    place.ends(place.dvc_starts("repro", "-f", "-s", "prepare@ring8"), 0)
    place.ends(place.dvc_starts("repro", "train@ring"), 0)
    return "one line names the shard; `dvc repro -s -f prepare@ring8`, then repro trains"


def object_of(place: Place, md5: str) -> Path:
    return place.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
