"""Print the lower bound of every requirement in setup.cfg as a pip constraint, one a line."""

import configparser
import re
from pathlib import Path

LOWER_BOUND = re.compile(r"^(?P<name>[\w.-]+)(\[[\w,]+\])?>=(?P<version>[\w.]+)")


def main() -> None:
    """Raises ValueError for a requirement of the base installation without a lower bound."""
    parser = configparser.ConfigParser()
    parser.read(Path(__file__).parents[1] / "setup.cfg")
    text = parser["options"]["install_requires"] + parser["options.extras_require"]["geo"]
    for line in filter(None, text.splitlines()):
        match = LOWER_BOUND.match(line)
        if match is None:
            raise ValueError(f"setup.cfg: {line!r} has no lower bound; write it as name>=version.")
        print(f"{match['name']}=={match['version']}")


if __name__ == "__main__":
    main()
