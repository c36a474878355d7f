"""How gunicorn serves the console: ``presort console``."""

from __future__ import annotations

from integration import logs, settings

_settings = settings.load()
_console = _settings.console

wsgi_app = "integration.web.app:create_app()"
bind = f"{_console.host}:{_console.port}"
proc_name = "presort-console"
worker_class = "integration.serving.Worker"
workers = 1
timeout = 30
graceful_timeout = 10
control_socket_disable = True  # nothing uses it, and the image's file system is read-only
accesslog = None
logconfig_dict = logs.document(_settings.log)
