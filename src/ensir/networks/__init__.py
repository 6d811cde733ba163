"""Networks: autoencoders and refiners, how they are trained, read and run, and how mean-shift restorers descend."""
