"""Where a run is recorded."""

from dataclasses import dataclass

from homog.config.checks import MISSING


@dataclass
class TrackingSettings:
    """Base of the tracking choices."""


@dataclass
class LocalTracking(TrackingSettings):
    """An SQLite store of MLflow in HOMOG_HOME."""

    experiment: str = "homog"


@dataclass
class ServerTracking(TrackingSettings):
    """An MLflow server."""

    uri: str = MISSING
    experiment: str = "homog"


@dataclass
class NoTracking(TrackingSettings):
    """metrics.jsonl in the run's folder, and nothing else."""
