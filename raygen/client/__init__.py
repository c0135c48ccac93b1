"""Jobs on a cluster, as their users handle them: submit, get, list, wait, stop, delete, logs, dashboard."""
