"""Blue/green deployments: an app is deployed beside its predecessor, takes over its load, replaces it (COMPAT.md 9).

Thinking rooms decide from plain values what comes next; the hands ask Marathon and the load balancers, run hooks and
tell how it goes; ``command`` wires them. All memory is in Marathon's apps and their labels: a run that was killed
anywhere is continued by the next from what it finds there.
"""
