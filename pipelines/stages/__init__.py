"""One file for each stage of dvc.yaml: it reads params, calls gen, and writes its outs."""
