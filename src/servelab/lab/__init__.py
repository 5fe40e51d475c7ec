"""The loop: from a Study to trials, deployments and measurements in the store."""
