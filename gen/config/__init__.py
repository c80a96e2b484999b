"""params.yaml as typed, checked objects."""
