"""optuna-dashboard for a run's journal, updated while the search runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from nas.core.errors import InputError
from nas.tracking.optuna_study import RunStudies

_log = logging.getLogger(__name__)
_EVERY_S = 2.0


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Do nothing, so that requests are not printed."""


def serve(run: Path, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the dashboard until the process is interrupted.

    Args:
        run: the run's directory.
        host: address to listen on.
        port: port to listen on; 0 for any free port.
        tell: called with the dashboard's URL when the server is ready.

    Raises:
        InputError: if optuna-dashboard is not installed, ``run`` is not a run directory, or the port is in use.
    """
    try:
        from optuna_dashboard import wsgi
    except ModuleNotFoundError:
        raise InputError("dashboard: optuna-dashboard is not installed: pip install 'mnas[dashboard]'") from None
    from optuna.storages import InMemoryStorage

    storage = InMemoryStorage()
    studies = RunStudies(run, storage, "dashboard")
    studies.follow()
    try:
        server = make_server(host, port, wsgi(storage), server_class=_Server, handler_class=_Silent)
    except OSError as error:
        raise InputError(f"--port: cannot listen on {host}:{port} ({error.strerror}); choose another --port") from None
    ended = threading.Event()
    follower = threading.Thread(target=_keep_up, args=(studies, ended), daemon=True)
    follower.start()
    tell(f"http://{host}:{server.server_port}/dashboard/")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        ended.set()
        server.server_close()


def _keep_up(studies: RunStudies, ended: threading.Event) -> None:
    while not ended.wait(_EVERY_S):
        try:
            studies.follow()
        except Exception as error:  # an incomplete line, or a study that was deleted in the dashboard
            _log.warning("the dashboard could not be updated and will try again: %s", error)
