"""A checkout that was moved or copied: its embedded MLflow database follows.

The database has absolute paths of artifacts. Where it was, a moved checkout's would be made again, and a copy would
write into the original.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("tags", "value"),
)
"""Tables and columns of MLflow's that hold paths in the checkout: of artifacts, and of checkpoints in a run's tags."""


def follow(database: Path) -> list[Path]:
    """Make the paths in <checkout>/tracking/mlflow.db those of where it is now. Returns the folders that it was in.

    A folder that is this one under another name is left as it is.
    """
    checkout = database.parent.parent
    with closing(sqlite3.connect(database)) as opened, opened:
        earlier = [one for one in earlier_checkouts(opened, database.parent.name) if not same(one, checkout)]
        for old in earlier:
            for table, column in PATHS:
                for before, after in ((str(old), str(checkout)), (old.as_uri(), checkout.as_uri())):
                    opened.execute(
                        f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) '
                        f'WHERE "{column}" = ? OR substr("{column}", 1, ?) = ?',
                        (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
                    )
    return earlier


def earlier_checkouts(opened: sqlite3.Connection, tracking: str) -> list[Path]:
    """The checkouts whose `<tracking>/artifacts` the experiments' artifacts are said to be in."""
    found = opened.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    paths = [Path(unquote(urlsplit(location).path)) for (location,) in found]
    return sorted({path.parents[2] for path in paths if path.parts[-3:-1] == (tracking, "artifacts")})


def same(one: Path, other: Path) -> bool:
    """Whether two paths are one folder."""
    return one == other or (one.exists() and one.samefile(other))
