"""Experiments as Tekton pipelines: compile templates, check what Tekton would refuse, render studies."""
