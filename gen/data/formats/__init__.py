"""Published file formats, read with every fault told apart from the data."""
