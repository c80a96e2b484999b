"""MLflow: every run recorded, every model registered."""
