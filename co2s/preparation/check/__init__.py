"""The dataset check: what would stop training or spoil it, found before it starts.

`check_dataset` reads every file once, `quick_check` looks at some samples of each list.
"""

from .report import Finding, Report
from .run import check_before_training, check_dataset, quick_check

__all__ = ["Finding", "Report", "check_before_training", "check_dataset", "quick_check"]
