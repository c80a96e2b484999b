"""A torch profiler trace of a few steps, once a run is warm."""

import gzip
import tempfile
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity

from gen.training.checkpoint import Checkpoints

WARM_UP = 10
TRACE = "trace.json.gz"


class Profiler:
    """Traces `length` steps after the first ten into TRACE beside the run's checkpoints; 0: nothing."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.steps = 0
        self.profile: torch.profiler.profile | None = None

    def step(self, first: bool, checkpoints: Checkpoints | None) -> None:
        """To be called after every step."""
        if not self.length or not first or checkpoints is None:
            return
        self.steps += 1
        if self.steps == WARM_UP:
            cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
            self.profile = torch.profiler.profile(activities=[ProfilerActivity.CPU, *cuda])
            self.profile.start()
        elif self.steps == WARM_UP + self.length:
            self.close(checkpoints)

    def close(self, checkpoints: Checkpoints | None) -> None:
        """Keep what has been traced: of fewer steps, when the run ends before."""
        if self.profile is not None and checkpoints is not None:
            self.profile.stop()
            with tempfile.TemporaryDirectory() as folder:
                trace = Path(folder) / "trace.json"
                self.profile.export_chrome_trace(str(trace))
                checkpoints.put(TRACE, gzip.compress(trace.read_bytes(), mtime=0))
            self.profile = None
