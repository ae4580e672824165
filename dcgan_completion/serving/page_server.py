"""A page's server with all its parts: put together, started and stopped."""

from __future__ import annotations

import socket

from dcgan_completion import utils
from dcgan_completion.serving.app import App
from dcgan_completion.serving.engine import Engine
from dcgan_completion.serving.finder import FaceFinder
from dcgan_completion.serving.http_server import LimitedServer
from dcgan_completion.serving.repairs import Repairs
from dcgan_completion.serving.store import PhotoStore
from dcgan_completion.serving.worker import Worker
from dcgan_completion.settings.serving import ServeSettings


class PageServer:
    """A server with its model; a context manager."""

    def __init__(
        self,
        settings: ServeSettings,
        listener: socket.socket,
        token: str,
        engine: Engine | None = None,
        finder: FaceFinder | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
          settings: of the server.
          listener: as `http_server.bind` gives it; is taken over.
          token: that requests need.
          engine: what computes; None: that of the settings' model.
          finder: of faces; None: a process of its own.
        """
        utils.limit_pixels(settings.max_pixels)
        self.engine = engine or Engine(settings.checkpoint_dir)
        self.worker = Worker(self.engine, self._fail)
        self.finder, self.store = finder or FaceFinder(), PhotoStore()
        repairs = Repairs(self.store, self.engine, self.worker, self.finder)
        app = App(settings, token, repairs)
        self.http = LimitedServer(listener, app.wsgi, settings.max_bytes, self.store.purge)
        self._error: BaseException | None = None

    def __enter__(self) -> PageServer:
        """Begin to load the model."""
        self.finder.start()
        self.worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End searches, threads and processes."""
        self.worker.close()
        self.http.server_close()
        self.finder.close()

    def serve(self) -> None:
        """Serve until `http.shutdown`, or an interrupt.

        Raises:
          UserError: the model cannot be loaded.
        """
        self.http.serve_forever()
        if self._error is not None:
            raise self._error

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self.http.shutdown()
