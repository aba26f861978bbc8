"""The report of a run as one HTML file that needs nothing else, and of several side by side."""

from .comparison import write_comparison_page
from .page import write_report_page

__all__ = ["write_comparison_page", "write_report_page"]
