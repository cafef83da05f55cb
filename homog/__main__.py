"""`python -m homog` is `homog-run`."""

from homog.cli import main

main()
