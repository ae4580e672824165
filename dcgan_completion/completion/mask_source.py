"""`MaskSource`: gives the masks of aligned images, drawn or read from files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dcgan_completion.masks import drawing, files
from dcgan_completion.masks.mask import Mask
from dcgan_completion.randomness import Purpose, image_rng
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.utils import UserError


def draw_masks(settings: MaskSettings, images: np.ndarray, seed: int) -> Mask:
    """Draw the masks of images, uint8 [N, S, S, C], of any type but `file`.

    Random ones are drawn from the seed and the whole image, wherever it is in a batch or a list.

    Raises:
      ValueError: as `drawing.draw`.
    """
    holes = [
        drawing.draw(
            settings.mask_type,
            image.shape[0],
            center_scale=settings.center_scale,
            fraction=settings.fraction,
            rng=image_rng(image, seed, Purpose.MASK),
        )
        for image in images
    ]
    return batch_mask(settings, holes)


def batch_mask(settings: MaskSettings, holes: Sequence[np.ndarray]) -> Mask:
    """Make the masks of a batch from its images' holes, grown as the settings say."""
    mask = Mask.of_type(settings.mask_type, holes)
    return mask.grown(settings.dilate, settings.feather) if settings.dilate else mask


@dataclasses.dataclass(frozen=True)
class MaskSource:
    """Gives the masks of images.

    Attributes:
      settings: what is missing.
      seed: of random masks.
      files: the mask file of each image, by the image's path; None: masks are drawn.
    """

    settings: MaskSettings
    seed: int = 0
    files: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls, settings: MaskSettings, seed: int, paths: Sequence[str], given: Sequence[str]
    ) -> MaskSource:
        """Make the source of the masks of the images with these paths.

        Args:
          settings: what is missing.
          seed: of random masks.
          paths: of the images.
          given: files and folders from which they come, as the user gave them.

        Raises:
          UserError: an image has no mask file, or has two (`files.masks_for`).
        """
        if settings.mask is None:
            return cls(settings, seed)
        return cls(settings, seed, files.masks_for(settings.mask, paths, given))

    def masks_of(self, paths: Sequence[str], images: np.ndarray) -> Mask:
        """Give the masks of some images, uint8 [N, S, S, C], with the given paths.

        Raises:
          UserError: a mask file is not a mask, or everything is missing in an image.
        """
        if self.files is None:
            mask = draw_masks(self.settings, images, self.seed)
        else:
            size, invert = images.shape[1], self.settings.invert_mask
            holes = [files.read_square(self.files[path], size, invert) for path in paths]
            mask = batch_mask(self.settings, holes)
        for path, hole in zip(paths, mask.hole, strict=True):
            if hole.all():
                raise UserError(
                    f"{path}: nothing of it is known under this mask; lower --dilate or --fraction"
                )
        return mask

    def check(self, paths: Sequence[str], size: int) -> None:
        """Read every mask file once, or draw one mask, before anything is completed.

        Args:
          paths: of the images.
          size: their edge in pixels.

        Raises:
          UserError: as `masks_of`.
        """
        if self.files is None:
            examples = [paths[0]]  # drawn masks are alike
        else:
            examples = list({self.files[path]: path for path in paths}.values())
        for path in examples:
            self.masks_of([path], np.zeros([1, size, size, 1], np.uint8))
