"""One paper, one file: each exports `Config` and `Model` (see gen/family.py)."""
