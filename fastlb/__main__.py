"""``python -m fastlb``."""

import sys

from fastlb.cli import main

sys.exit(main())
