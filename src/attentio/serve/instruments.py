"""What a server counts, for Prometheus. Labels are few and known: no text, no key, no address is among them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TEXTS = (1, 2, 4, 8, 16, 32, 64)


class Instruments:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "attentio_requests", "Requests that were answered.", ("endpoint", "status"), registry=registry
        )
        self.seconds = Histogram(
            "attentio_request_seconds", "Seconds of an answer.", ("endpoint",), buckets=SECONDS, registry=registry
        )
        self.characters = Counter(
            "attentio_characters", "Characters that were translated.", ("pair",), registry=registry
        )
        self.batch_texts = Histogram("attentio_batch_texts", "Texts of a batch.", buckets=TEXTS, registry=registry)
        self.waited = Histogram(
            "attentio_wait_seconds", "Seconds that a text waited for its batch.", buckets=SECONDS, registry=registry
        )
        self._waiting = Gauge("attentio_waiting_texts", "Texts that wait for a batch.", registry=registry)

    def watch_queue(self, waiting: Callable[[], int]) -> None:
        """Ask `waiting` for the length of the queue whenever somebody wants to know."""
        self._waiting.set_function(waiting)

    def shown(self) -> bytes:
        """Return all of it in the text format of Prometheus."""
        return generate_latest(self._registry)
