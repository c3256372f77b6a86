"""Blue/green deployments: an app is deployed beside its predecessor, takes over its load, replaces it (COMPAT.md 9).

Thinking rooms (``definitions``, ``state``, ``machine``, ``seen``) decide from plain values what comes next; ``marathon``,
``balancers``, ``hooks`` and ``progress`` are the hands; ``command`` wires them. All memory is in labels of Marathon's apps:
a run that was killed anywhere is continued by the next from what it finds there.
"""
