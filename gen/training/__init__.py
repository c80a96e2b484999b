"""The one training loop, and what happens around its steps. Plain torch: no Ray, no MLflow, no DVC."""
