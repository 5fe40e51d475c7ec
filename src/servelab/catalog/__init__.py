"""What is known of models, workloads, engines' arguments and accelerators: YAML data, and lookup."""
