"""Reports of a run of the suite: pure functions of `evals.result.SuiteResult`.

`render` writes all of them; `load` reads a result back, so that they can be made again.
"""

from evals.reports.as_json import load
from evals.reports.write import render

__all__ = ["load", "render"]
