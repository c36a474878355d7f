"""Sends messages by task name; knows Celery as a client, never a task's code."""

from __future__ import annotations

from typing import Any

from celery import Celery

from integration import messages

VISIBILITY_TIMEOUT_S = 100
"""A message not acknowledged for so long is given to another worker.

Longer than the slowest batch (four write messages, each two Zendesk requests that take just under their 10 s), short
enough that a killed worker's tickets are back in under 2 minutes. A batch that takes longer is worked on twice, which
costs time and writes nothing twice.
"""


def create_celery(name: str, redis_url: str, *, timeout_s: float = 5) -> Celery:
    """A Celery app with the transport both sides must agree on: queues, JSON, key names, timeouts.

    Args:
        name: of the process, in logs.
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        timeout_s: for each answer of Redis.
    """
    app = Celery(name, broker=redis_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_routes={task: {"queue": queue} for task, queue in messages.QUEUES.items()},
        task_create_missing_queues=True,
        broker_connection_retry_on_startup=True,
        # A receiver must answer within a second; the webhook is delivered again when the broker is away.
        task_publish_retry=False,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            # kombu looks for lost messages every interval x throttle seconds; its defaults make that 100.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "unacked_key": "presort:unacked",
            "unacked_index_key": "presort:unacked_index",
            "unacked_mutex_key": "presort:unacked_mutex",
            "unacked_mutex_expire": 15,  # whoever is killed while looking must not stop the others from it
            "keyprefix_queue": "presort:binding.%s",
            "keyprefix_fanout": "presort:fanout.{db}.",
            "socket_timeout": timeout_s,
            "socket_connect_timeout": min(2, timeout_s),
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
    )
    return app


def publish(app: Celery, task: str, payload: messages.Message | dict[str, Any]) -> None:
    """Send one message to its task's queue.

    Raises:
        kombu.exceptions.OperationalError: the broker cannot be reached or refuses.
    """
    document = payload.to_json() if isinstance(payload, messages.Message) else payload
    # Celery would put a shortened copy of the arguments into the headers for its logs: ticket text has no place there,
    # and making it costs an eighth of the publishing.
    app.send_task(task, args=[document], argsrepr="(...)", kwargsrepr="{}")
