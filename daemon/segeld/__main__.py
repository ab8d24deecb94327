"""`python -m segeld`."""

import sys

from segeld.cli.main import main

sys.exit(main())
