"""Disks that become full, at a random moment, and have room again before the same command is given once more."""

from tests.faults.matrix import fault
from tests.faults.place import STEPS, Failed, Place, Repository
from tests.pipelines.conftest import ring_run


class Preparing(Place):
    """Data that is to be prepared."""

    def lost(self, expected: str) -> list[str]:
        prepared, before = self.view / "data/prepared/ring8", self.folder / "before"
        names = sorted(path.name for path in before.iterdir())
        same = sorted(path.name for path in prepared.iterdir()) == names
        return [] if same and all((prepared / n).read_bytes() == (before / n).read_bytes() for n in names) else ["data"]


@fault("disk full while a shard is prepared", Preparing)
def shard(place: Preparing) -> str:
    (place.folder / "raw").rename(place.folder / "data" / "raw")
    (place.folder / "data/prepared/ring8").rename(place.folder / "before")
    place.write(ring=ring_run(steps=STEPS))
    place.small_disk("data/prepared", "1m")
    filler = place.fill("data/prepared", spare=4096 * place.chance.randint(0, 2))
    place.hurt()
    text = place.ends(place.start("prepare", "ring8"), 1)
    if "No space left" not in text or list((place.view / "data/prepared").glob("*ring8*")):
        raise Failed("it does not say so, or leaves something half")
    filler.unlink()
    place.ends(place.start("prepare", "ring8"), 0)
    return "one line says so; the same command prepares it"


@fault("disk full while a checkpoint is written")
def checkpoint(place: Place) -> str:
    place.environment.pop("RAY_ADDRESS")
    place.small_disk("storage", "16m")
    process = place.train()
    place.moment(process)
    place.hurt()
    filler = place.fill("storage")
    text = place.ends(process, 1)
    if "No space left" not in text:
        raise Failed(text.splitlines()[-1])
    filler.unlink()
    place.ends(place.start("train", "ring"), 0)
    return "one line says so; the same command goes on"


@fault("disk full under MLflow's database and files")
def tracking(place: Place) -> str:
    place.small_disk("tracking", "64m")
    process = place.train()
    place.moment(process)
    place.hurt()
    filler = place.fill("tracking")
    text = place.ends(process, 0)
    if "lacks part of run" not in text:
        raise Failed("it does not say what MLflow lacks")
    filler.unlink()
    place.ends(place.start("train", "ring"), 0)
    return "the training is not disturbed; the same command adds what MLflow lacks"


@fault("disk full under DVC's cache", Repository)
def cache(place: Repository) -> str:
    place.small_disk(".dvc/cache", "64m")
    process = place.dvc_starts("repro", "train@ring")
    place.moment(process)
    place.hurt()
    filler = place.fill(".dvc/cache")
    text = place.ends(process, 255, 1)
    if "No space left" not in text:
        raise Failed(text.splitlines()[-1])
    filler.unlink()
    place.ends(place.dvc_starts("repro", "train@ring"), 0)
    return "dvc says so; repro again takes it over"


@fault("no space in /dev/shm")
def shared_memory(place: Place) -> str:
    place.environment.pop("RAY_ADDRESS")
    place.apart("mount -t tmpfs -o size=64k none /dev/shm")
    place.hurt()
    process = place.train()
    place.ends(process, 0)
    return "trains without it"


@fault("read-only folder")
def read_only(place: Place) -> str:
    place.write(ring=ring_run(steps=STEPS))
    place.apart(f"mount --bind {place.folder} {place.folder} && mount -o remount,bind,ro {place.folder}")
    place.hurt()
    process = place.start("train", "ring")
    text = place.ends(process, 1)
    place.before, place.view = [], place.folder
    place.ends(place.train(), 0)
    return "one line says so; the same command trains" if "Read-only" in text else f"says only: {text}"
