"""genai-bench inside the cluster, as an OME BenchmarkJob."""
