"""The page of `gen explore`: a trained model's latent space, looked at in a browser on the same machine."""
