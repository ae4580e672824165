"""The output folder of a completion: pictures, losses and results of every batch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dcgan_completion.inpaint.blending import rounded
from dcgan_completion.inpaint.candidates import Candidates, Searched
from dcgan_completion.output_folder import ResumableFolder
from dcgan_completion.utils import image_grid, replacing, save_gif, save_image, write_csv


class CompletionFolder(ResumableFolder):
    """The output folder of complete.py.

    The first batch's images lie in it, those of later batches in batch-0002 and so on, under the
    reference's names; final/, results.csv and config.json are about all images.
    """

    FLAG = "--outDir"
    WHAT = KEY = "completion"
    INPUTS = "images"
    TABLE = "results.csv"
    COLUMNS = ("input", "output", "contextual", "perceptual", "total")
    NUMBERS = COLUMNS[2:]
    RESULTS = (TABLE, "final", "samples")
    STATES = ("hats_imgs", "completed", "logs")  # folders about a batch's search
    PICTURES = ("before.png", "masked.png", "completion.gif", "hats_imgs", "completed", "logs")

    def __init__(self, path: str) -> None:
        """Change nothing in the folder `path`, which may not exist yet."""
        super().__init__(path)
        # Of the current batch: its folder, its animation's frames, its losses, its known pixels.
        self._batch = path
        self._frames: list[str] = []
        self._losses: list[np.ndarray] = []
        self._masked = np.empty(0)

    def is_result(self, name: str) -> bool:
        """Tell whether the command may have written what has that name in the folder."""
        ours = (*self.PICTURES, *self.RESULTS)
        return name in ours or re.fullmatch(r"batch-\d{4,}", name) is not None

    def start_batch(self, batch: int, before: np.ndarray, masked: np.ndarray) -> None:
        """Make a batch's folders, and write its images before completion.

        Args:
          batch: its number, from 1.
          before: the images as given, uint8 [N, S, S, C].
          masked: as far as they are known, uint8 [N, S, S, C].
        """
        self._batch = self.path if batch == 1 else os.path.join(self.path, f"batch-{batch:04d}")
        self._frames, self._losses, self._masked = [], [], masked
        for name in self.STATES or ("",):
            os.makedirs(os.path.join(self._batch, name), exist_ok=True)
        save_image(os.path.join(self._batch, "before.png"), image_grid(before))
        save_image(os.path.join(self._batch, "masked.png"), image_grid(masked))

    def write_state(self, state: Searched, completed: np.ndarray) -> None:
        """Write images of a state of the search; keep its losses for `finish_batch`.

        Args:
          state: of the search.
          completed: its completions, uint8 [N, K, S, S, C].
        """
        name = f"{state.iteration:04d}.png"
        generated = image_grid(rounded(state.generated[:, 0]))
        save_image(os.path.join(self._batch, "hats_imgs", name), generated)
        self._frames.append(os.path.join(self._batch, "completed", name))
        save_image(self._frames[-1], image_grid(completed[:, 0]))
        self._losses.append(state.history)

    def finish_batch(
        self,
        names: Mapping[str, str],
        before: np.ndarray,
        last: Candidates,
        completed: np.ndarray,
    ) -> None:
        """Write the results of a batch.

        Args:
          names: input path -> output name without extension, in the batch's order.
          before: the images as given, uint8 [N, S, S, C].
          last: their candidates.
          completed: the completions, uint8 [N, K, S, S, C].
        """
        if isinstance(last, Searched):
            self._write_logs(names, last)
        if completed.shape[1] > 1:
            for i, name in enumerate(names.values()):
                self._write_samples(name, before[i], self._masked[i], completed[i])
        rows = []
        for i, (path, name) in enumerate(names.items()):
            save_image(os.path.join(self.path, "final", f"{name}.png"), completed[i, 0])
            numbers = self._cells(last, i) if isinstance(last, Searched) else []
            rows.append([path, f"{name}.png", *numbers])
        self._add_rows(rows)

    def _cells(self, last: Searched, i: int) -> list[str]:
        """Format the cells of NUMBERS for an image."""
        total, contextual, perceptual = (loss[i, 0] for loss in last.losses)
        return [f"{x:.6g}" for x in (contextual, perceptual, total)]

    def _write_logs(self, names: Mapping[str, str], last: Searched) -> None:
        """Write a batch's losses, latents and animation."""
        logs, outputs = os.path.join(self._batch, "logs"), list(names.values())
        history = np.concatenate(self._losses)
        rows = ([i, *(f"{loss:.6g}" for loss in row)] for i, row in enumerate(history))
        write_csv(os.path.join(logs, "losses.csv"), ["iteration", *outputs], rows)
        arrays: dict[str, Any] = {"names": np.array(outputs), "inputs": np.array(list(names))}
        z, several = last.z, last.z.shape[1] > 1
        if z.shape[2] == 1:  # a sample is one search, not the mean of several
            z = z[:, :, 0]
        arrays["z"] = z[:, 0]
        if several:
            arrays |= {"samples_z": z, "samples_losses": last.losses[0]}
        with replacing(os.path.join(logs, "z.npz")) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
        save_gif(os.path.join(self._batch, "completion.gif"), self._frames)

    def _write_samples(
        self, name: str, before: np.ndarray, masked: np.ndarray, completed: np.ndarray
    ) -> None:
        """Write an image's completions, the best first: a file each, and all beside the image."""
        folder = os.path.join(self.path, "samples", name)
        os.makedirs(folder, exist_ok=True)
        for rank, sample in enumerate(completed, 1):
            save_image(os.path.join(folder, f"{rank}.png"), sample)
        sheet = image_grid(np.stack([before, masked, *completed]), columns=2 + len(completed))
        save_image(f"{folder}.png", sheet)


class DirectFolder(CompletionFolder):
    """The output folder of completions without a search: it has no losses and no states."""

    COLUMNS = CompletionFolder.COLUMNS[:2]
    NUMBERS = ()
    STATES = ()
