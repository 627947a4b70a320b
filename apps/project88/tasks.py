"""The tasks of the Celery worker: `python3 -m celery -A apps.project88.tasks worker`."""

import contextlib
import functools
import logging
import smtplib
from email.message import EmailMessage
from typing import Any

from celery import signals
from celery.exceptions import SoftTimeLimitExceeded

from apps.common import logs, settings, traces
from apps.common.errors import RefusedError, UnavailableError, describe
from apps.project88 import broker, documents, text
from apps.project88.broker import Redis, app
from apps.project88.database import Database
from apps.project88.documents import Indexed, Upload
from apps.project88.search import Search
from apps.project88.settings import WorkerSettings

LOG = logging.getLogger(__name__)
SERVICE = "worker"
SMTP_WITHIN_S = 5
MAIL_ATTEMPTS_MAX = 5


class Worker:
    """What the tasks do, on the stores."""

    def __init__(
        self, database: Database, search: Search, redis: Redis, loaded: WorkerSettings
    ) -> None:
        self._database = database
        self._search = search
        self._redis = redis
        self._settings = loaded

    def read(self, document_id: str) -> None:
        """Reads a document: extracts its text, indexes it, stores it, announces it. Doing it twice
        is harmless. If a store is down, the document stays queued, and is queued again later."""
        try:
            with self._database.connection() as connection:
                upload = documents.take(connection, document_id)
            if upload is None:
                LOG.info("not queued", extra={"id": document_id})
                return
            LOG.info("reading", extra={"id": document_id, "attempt": upload.attempts})
            try:
                self._read(document_id, upload)
            except UnavailableError:
                with self._database.connection() as connection:
                    documents.release(connection, document_id)
                raise
        except UnavailableError as error:
            LOG.warning("left queued", extra={"id": document_id, "reason": describe(error)})

    def mail(self, document_id: str) -> None:
        """Sends a notice that a document is done. Raises `OSError` and `SMTPException`."""
        if self._settings.smtp_host is None:
            return
        message = EmailMessage()
        message["From"] = self._settings.mail_from
        message["To"] = self._settings.mail_to
        message["Subject"] = f"Document {document_id} is done"
        message.set_content(f"GET /documents/{document_id} has its keywords.\n")
        with smtplib.SMTP(
            self._settings.smtp_host, self._settings.smtp_port, timeout=SMTP_WITHIN_S
        ) as server:
            server.send_message(message)

    def _read(self, document_id: str, upload: Upload) -> None:
        try:
            if upload.attempts > documents.ATTEMPTS_MAX:
                # The worker was killed each time, most likely for its memory.
                raise RefusedError(f"reading it failed {documents.ATTEMPTS_MAX} times")
            content = text.extract(upload.content, upload.media_type)
            document = Indexed(document_id, upload.name, content, text.keywords(content))
            self._search.put(document)
        except (RefusedError, SoftTimeLimitExceeded) as error:
            late = isinstance(error, SoftTimeLimitExceeded)
            reason = f"reading it took over {broker.TASK_LIMIT_S} s" if late else str(error)
            with self._database.connection() as connection:
                documents.fail(connection, document_id, reason)
            self._redis.announce(document_id, documents.FAILED, indexed=False)
            LOG.warning("failed", extra={"id": document_id, "reason": reason})
            return
        with self._database.connection() as connection:
            finished = documents.finish(connection, document)
        if not finished:
            return
        self._redis.announce(document_id, documents.DONE, indexed=True)
        if self._settings.smtp_host is not None:
            # A notice that can't be queued is lost; the document is done.
            with contextlib.suppress(UnavailableError):
                broker.send(broker.MAIL, document_id)
        LOG.info("done", extra={"id": document_id, "characters": len(document.text)})


@functools.cache
def worker() -> Worker:
    """The stores of this process. Those that fork don't share connections."""
    loaded = settings.load(WorkerSettings)
    return Worker(Database(loaded), Search(loaded), Redis(loaded), loaded)


@app.task(name=broker.READ)
def read(document_id: str, traceparent: str = "") -> None:
    traces.take(traceparent)
    with traces.span("read", "consumer"):
        worker().read(document_id)


@app.task(
    name=broker.MAIL,
    autoretry_for=(OSError, smtplib.SMTPException),
    max_retries=MAIL_ATTEMPTS_MAX,
    retry_backoff=True,
)
def mail(document_id: str, traceparent: str = "") -> None:
    traces.take(traceparent)
    with traces.span("mail", "consumer"):
        worker().mail(document_id)


@signals.setup_logging.connect
def _log_json(**_: Any) -> None:
    """Replaces Celery's own set-up of logs."""
    logs.configure(SERVICE)
    # One line for each task received and succeeded says nothing that ours don't.
    for noisy in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@signals.worker_process_init.connect
def _record_spans(**_: Any) -> None:
    """Spans are sent by a thread, which a fork doesn't copy."""
    traces.configure(SERVICE)


@signals.worker_process_shutdown.connect
def _send_spans(**_: Any) -> None:
    traces.stop()
