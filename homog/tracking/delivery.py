"""From a run folder to MLflow: whatever its ledger says is missing there."""

from collections.abc import Callable

from homog.tracking.ledger import Ledger
from homog.tracking.metrics import METRICS_FILE, read_metrics_from
from homog.tracking.mlflow_store import source_tags
from homog.tracking.store import Address, Store

_CHUNK = 200_000  # bytes of metrics.jsonl, some thousand values, between two notes of what has arrived


class Delivery:
    """Sends what MLflow does not have of a run; the run itself does so while it goes on, `homog-sync` after it."""

    def __init__(
        self,
        ledger: Ledger,
        address: Address,
        open_store: Callable[[Address], Store],
        *,
        is_new: bool = False,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            ledger: What is wanted and what has arrived; whoever delivers holds the run's lock.
            address: Address of the store.
            open_store: May give the same store to several deliveries.
            is_new: Nobody can have created the run in the store yet.
            answered: Is called whenever the store has done what it was asked for.
        """
        self.ledger = ledger
        self.location = ""  # where a user finds the run, once it is in the store
        self._address = address
        self._open_store = open_store
        self._is_new = is_new
        self._answered = answered

    def send(self) -> None:
        """Send all that is missing by now.

        Raises:
            Exception: Whatever MLflow or the network had to say; what arrived before is noted.
        """
        status = self.ledger.status  # before the metrics are read: there are no more of them once it is final
        store = self._open_store(self._address)
        self._answered()
        run_id = self._run_id(store)
        self.location = store.link.format(name=self.ledger.name, run_id=run_id)
        if not self.ledger.described:
            store.describe(run_id, self.ledger.parameters, self.ledger.tags)
            self._note(described=True)
        self._send_metrics(store, run_id, to_the_end=status != "RUNNING")
        if self.ledger.sent_status != status:
            store.set_status(run_id, status, self.ledger.ended_at)
            self._note(sent_status=status)
        # last, since a server may take metrics and have nowhere to put files
        for name in self.ledger.unsent_artifacts():
            self._send_artifact(store, run_id, name)

    def _run_id(self, store: Store) -> str:
        ledger = self.ledger
        if ledger.run_id is not None:
            return ledger.run_id
        is_new, self._is_new = self._is_new, False  # should the answer get lost, the run may be there
        run_id = None if is_new else store.find(ledger.key)
        if run_id is None:
            run_id = store.create(
                ledger.key, ledger.name, {**source_tags(ledger.tags), **ledger.tags}, ledger.started_at
            )
        self._note(run_id=run_id, sent_status="RUNNING")
        return run_id

    def _send_metrics(self, store: Store, run_id: str, *, to_the_end: bool) -> None:
        path = self.ledger.folder / METRICS_FILE
        if not path.exists():
            return
        while True:
            start = self.ledger.sent_bytes
            entries, end = read_metrics_from(path, start, _CHUNK, to_the_end=to_the_end)
            if end == start:
                return
            store.send_metrics(run_id, entries)
            self._note(sent_bytes=end)

    def _send_artifact(self, store: Store, run_id: str, name: str) -> None:
        asked = self.ledger.artifacts[name].asked  # it may be handed over anew while it is sent
        folder = self.ledger.folder.resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise PermissionError(f"{name} is a link to a place outside {folder}")
        if path.exists():  # else it was removed since, and there is nothing that could be sent
            store.send_artifact(run_id, path)
        self.ledger.arrived(name, asked)
        self._answered()

    def _note(self, **changes: object) -> None:
        self.ledger.update(**changes)
        self._answered()
