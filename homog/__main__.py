"""`python -m homog` is `homog-run`."""

from homog.command.cli import main

main()
