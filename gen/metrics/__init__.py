"""Pure functions of arrays: features of real and generated images in, named numbers out."""
