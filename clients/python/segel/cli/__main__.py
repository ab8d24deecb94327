"""`python -m segel.cli`: the command segel."""

import sys

from segel.cli.main import main

sys.exit(main())
