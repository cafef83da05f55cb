"""What a run leaves behind: `metrics.jsonl` in its folder, and the same in MLflow where there is one."""

from homog.tracking.environment import environment_tags
from homog.tracking.metrics import METRICS_FILE, MetricsEntry, read_metrics
from homog.tracking.recorder import Recorder, Status, open_recorder

__all__ = [
    "METRICS_FILE",
    "MetricsEntry",
    "Recorder",
    "Status",
    "environment_tags",
    "open_recorder",
    "read_metrics",
]
