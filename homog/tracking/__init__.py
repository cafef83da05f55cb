"""What a run leaves behind: `metrics.jsonl` in its folder, and the same in MLflow where there is one."""

from homog.tracking.children import ChildRuns
from homog.tracking.environment import environment_tags
from homog.tracking.ledger import LEDGER_FILE, Status
from homog.tracking.lock import is_going_on
from homog.tracking.metrics import METRICS_FILE, MetricsEntry, read_metrics
from homog.tracking.recorder import Recorder, open_recorder
from homog.tracking.store import modules_to_preload

__all__ = [
    "LEDGER_FILE",
    "METRICS_FILE",
    "ChildRuns",
    "MetricsEntry",
    "Recorder",
    "Status",
    "environment_tags",
    "is_going_on",
    "modules_to_preload",
    "open_recorder",
    "read_metrics",
]
