"""Storage: where results live, how they appear whole, and how they are read, checked, sealed and shared."""
