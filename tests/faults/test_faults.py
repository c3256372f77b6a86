"""Each fault of the catalogue: requests go on, all is as before soon, the log names the cause, nothing is left."""

from __future__ import annotations

import pytest

from tests.faults import machine, marathon, processes, stream, versions  # noqa: F401 - they fill the table
from tests.faults.catalogue import FAULTS
from tests.faults.sizes import SIZES


@pytest.mark.parametrize("fault", [pytest.param(each, id=each.id) for each in FAULTS])
def test_what_is_served_outlives(fault, results, rows):
    if why_not := fault.why_not():
        pytest.skip(why_not)
    rows.append(results[fault.id].result(SIZES.result_within_s))
