"""`python -m reslift` is `reslift`."""

from __future__ import annotations

import sys

from reslift.cli import main

if __name__ == "__main__":
    sys.exit(main())
