"""kustomize in Python, with every value's place kept; see docs/guides.md for what it knows."""
