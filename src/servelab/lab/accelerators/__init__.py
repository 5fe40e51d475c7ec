"""The accelerators of this machine: found, leased to trials, and watched."""
