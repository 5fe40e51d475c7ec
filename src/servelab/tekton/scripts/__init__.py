"""What runs in the steps of our Tasks: single files that need nothing but Python, so that any image will do."""
