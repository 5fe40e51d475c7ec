"""What Tekton would refuse, told before any request is made."""
