"""``python -m fastadapd``: the command line."""

import sys

from fastadapd.cli import main

sys.exit(main())
