"""Task files and results of the inference autotuner: read into studies, and written from them."""
