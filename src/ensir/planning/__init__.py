"""Planning: what there is to do, from a configuration and the folders that it names."""
