"""The DVC stages and the commands beside them: read params, call gen, write outs."""
