"""Images: files, arrays in files, degradations, colours, similarity."""
