"""The dataset check: what would stop training or spoil it, found before it starts.

`check_dataset` reads every file once, `quick_check` looks at some samples of each list.
"""

from .findings import Finding
from .quick import check_before_training, quick_check
from .run import Report, check_dataset

__all__ = ["Finding", "Report", "check_before_training", "check_dataset", "quick_check"]
