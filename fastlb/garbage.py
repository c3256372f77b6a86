"""When Python looks for garbage cycles: when nobody waits, and only among what is new.

The cluster is some hundred thousand objects without cycles. Left to itself Python looks at all of them again and again
while they are made, which costs more than making them, and later in the middle of a change. So it does not look by
itself; the loop has it look now and then, and what it has seen once is not looked at again.
"""

from __future__ import annotations

import gc


def look_on_demand() -> None:
    """Have garbage cycles collected by `look` alone."""
    gc.disable()


def look() -> None:
    """Collect garbage cycles among the objects that are new since the last look."""
    gc.collect()
    gc.freeze()
