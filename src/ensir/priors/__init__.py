"""What is known of images and of their degradation."""
