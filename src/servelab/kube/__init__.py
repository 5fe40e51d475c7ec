"""One Kubernetes client, narrow and asynchronous: apply, watch, logs, exec, port-forward, copy."""
