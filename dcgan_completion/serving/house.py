"""All parts of a running server, put together, begun and ended."""

from __future__ import annotations

import socket

from dcgan_completion import cli, utils
from dcgan_completion.serving.app import App
from dcgan_completion.serving.engine import Engine
from dcgan_completion.serving.finder import FaceFinder
from dcgan_completion.serving.repairs import Repairs
from dcgan_completion.serving.server import Server
from dcgan_completion.serving.store import PhotoStore
from dcgan_completion.serving.worker import Worker
from dcgan_completion.settings.serving import ServeSettings


class House:
    """A server with its model; a context manager."""

    def __init__(
        self,
        settings: ServeSettings,
        listener: socket.socket,
        token: str,
        engine: Engine | None = None,
        finder: FaceFinder | None = None,
    ) -> None:
        """Begins nothing yet.

        Args:
          settings: of the server.
          listener: as `server.bind` gives it; is taken over.
          token: that requests need.
          engine: what computes; None: that of the settings' model.
          finder: of faces; None: a process of its own.
        """
        utils.limit_pixels(settings.max_pixels)
        self.engine = engine or Engine(settings.checkpoint_dir)
        self.worker = Worker(self.engine, self._fail)
        self.finder, self.store = finder or FaceFinder(), PhotoStore()
        self.repairs = Repairs(self.store, self.engine, self.worker, self.finder)
        self.app = App(settings, token, self.repairs)
        self.server = Server(listener, self.app.wsgi, settings.max_bytes, self._look_after)
        self._error: BaseException | None = None
        self._told = False

    def __enter__(self) -> House:
        """Begins to load the model."""
        self.finder.start()
        self.worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends searches, threads and processes."""
        self.worker.close()
        self.server.server_close()
        self.finder.close()

    def serve(self) -> None:
        """Serves until `server.shutdown`, or an interrupt.

        Raises:
          UserError: the model cannot be loaded.
        """
        self.server.serve_forever()
        if self._error is not None:
            raise self._error

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self.server.shutdown()

    def _look_after(self) -> None:
        self.store.purge()
        if self.worker.ready and not self._told and self.engine.note:
            cli.tell(self.engine.note)
            self._told = True
