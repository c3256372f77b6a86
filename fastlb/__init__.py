"""fastlb: the front door of a Mesos/Marathon cluster, changed in proportion to what changed.

The rooms and the flow of data between them are drawn in ARCHITECTURE.md.
"""

__version__ = "0.1.0"
