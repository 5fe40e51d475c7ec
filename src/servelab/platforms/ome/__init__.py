"""Engines as OME InferenceServices in a Kubernetes cluster."""
