"""What can be done with latent vectors: White 2016, Sampling generative networks; Radford et al. 2015 (DCGAN).

Functions of latent vectors alone: they know no model, and decode nothing. Figures are in gen/figures/latent.py.
"""
