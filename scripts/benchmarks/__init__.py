"""The sections of `make bench`: one file a subject; `scripts/bench.py` runs them."""
