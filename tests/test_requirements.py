"""The requirements' lower bounds, as CI's oldest lane installs them."""

import subprocess
import sys
from pathlib import Path


def test_every_requirement_has_a_lower_bound_that_pip_takes():
    script = Path(__file__).parents[1] / ".ci" / "oldest.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "tabulate==0.9" in lines, "constraints name no extras"
    assert any(line.startswith("torch==") for line in lines)
