"""homog-sync: what is missing in MLflow, sent."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import NoReturn

from homog.machine.home import home
from homog.tracking import sync

_DESCRIPTION = """\
Send to MLflow what runs could not send themselves, because a server was down, or they were killed.
metrics.jsonl in a run's folder has everything; nothing is sent twice. A run that died is closed as KILLED, one that
still goes on is left alone."""
_CLOSING = "Exit status: 0 all is in MLflow, 1 something could not be sent, 2 a mistake in what was asked."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"homog-sync: {message}", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """Entry point of the command."""
    parser = _Parser(
        "homog-sync", description=_DESCRIPTION, epilog=_CLOSING, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders", nargs="*", metavar="FOLDER", type=Path, help="of a run or a sweep; default: all in HOMOG_HOME"
    )
    asked = parser.parse_args().folders
    folders = sync.recorded_folders(home())
    if asked:
        folders = [folder for one in asked for folder in _recorded_in(one, parser)]
    try:
        outcomes = Counter(_tell(synced) for synced in sync.sync(folders, home()))
    except KeyboardInterrupt:
        sys.exit(130)
    counts = ", ".join(f"{outcomes[name]} {name}" for name in ("complete", "sent", "running", "failed"))
    print(f"{len(folders)} runs: {counts}")
    sys.exit(1 if outcomes["failed"] else 0)


def _recorded_in(folder: Path, parser: _Parser) -> list[Path]:
    """The folder itself and, in a sweep's, those of its jobs."""
    found = [path.parent for pattern in ("", "*/") for path in sorted(folder.glob(f"{pattern}{sync.LEDGER_FILE}"))]
    if not found:
        parser.error(f"{folder} has no {sync.LEDGER_FILE}: give the folder of a run or a sweep that MLflow should have")
    return found


def _tell(synced: sync.Synced) -> str:
    if synced.outcome == "running":
        print(f"{synced.folder}: still going on, left alone")
    elif synced.outcome != "complete":
        print(f"{synced.folder}: {synced.outcome}: {synced.detail}", flush=True)
    return synced.outcome
