"""Networks, and all that learns or descends: autoencoders, refiners, their trainings, how they are read and run."""
