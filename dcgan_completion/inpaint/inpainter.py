"""`Inpainter`: fills in what is missing of aligned face images, by a DCGAN and its encoder."""

from __future__ import annotations

import collections
import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dcgan_completion.inpaint import arrays
from dcgan_completion.settings.model_folder import PHOTO_ENCODER_FOLDER
from dcgan_completion.settings.options import naming_arguments
from dcgan_completion.settings.search import SEARCHES, SearchSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from PIL import Image

    from dcgan_completion.encoders import ContextEncoder
    from dcgan_completion.inpaint.candidates import Candidates
    from dcgan_completion.inpaint.estimator import Estimator
    from dcgan_completion.inpaint.search import LatentSearch, Pools
    from dcgan_completion.masks.mask import Mask
    from dcgan_completion.model import DCGAN
    from dcgan_completion.photo_encoder import PhotoEncoder

BATCH = 64  # candidates of a batch, unless another size is asked for
MAX_SEARCHES = 3  # that are kept: each has compiled functions
INTERVAL = 10  # iterations between two calls of a callback

logger = logging.getLogger(__name__)

# step, total losses [N, K] (None without a search), images uint8 [N, S, S, C] -> True to stop
Callback = Callable[[int, np.ndarray | None, np.ndarray], bool | None]


@dataclasses.dataclass(frozen=True, eq=False)
class Inpainting:
    """Completed images.

    Attributes:
      images: the best completion of each image: a list of N PIL images, or uint8 [N, S, S, C].
      samples: all completions of each image, the best first: N lists of K PIL images, or uint8
        [N, K, S, S, C].
      candidates: what the holes were filled from, unblended, 0..1, float32 [N, K, S, S, C].
      losses: the total loss of each candidate, [N, K]; None without a search (`direct`).
    """

    images: list[Image.Image] | np.ndarray
    samples: list[list[Image.Image]] | np.ndarray
    candidates: np.ndarray
    losses: np.ndarray | None


class Inpainter:
    """A DCGAN, and the context encoder beside it, with which images are completed.

    The commands, the page and the benchmarks are made of it: `search_settings` and `search` serve
    those who need every step, a call does all at once.

    Example:
      >>> from dcgan_completion import Generator, Inpainter
      >>> faces = Generator.from_pretrained().sample(2, seed=0, return_type="numpy")
      >>> mask = np.zeros([64, 64], np.uint8)
      >>> mask[24:40, 16:48] = 255  # white is the hole
      >>> result = Inpainter.from_pretrained()(faces, mask, approach="direct")
      >>> result.images[0].size
      (64, 64)

    Attributes:
      model: the DCGAN.
      prefix: of its checkpoint.
      precision: of the convolutions in a search: float32 or bfloat16.
    """

    def __init__(self, model: DCGAN, prefix: str, precision: str = "float32") -> None:
        """Take a model for use, as `checkpoints.load_model` gives it, and its path prefix."""
        self.model, self.prefix, self.precision = model, prefix, precision
        self._encoder: ContextEncoder | None = None
        self._photo_encoder: PhotoEncoder | None = None
        self._lacks_encoder = False  # where one was expected: logged once a search begins
        self._logged = False
        self._searches: collections.OrderedDict[Any, LatentSearch | Estimator]
        self._searches = collections.OrderedDict()
        self._pools: dict[str, Pools] = {}  # by precision: searches share what they generated

    @classmethod
    def from_pretrained(cls, path: str | None = None, *, precision: str = "auto") -> Inpainter:
        """Load a model.

        Args:
          path: a checkpoint folder, or one of its checkpoints; None: the model that ships.
          precision: of the convolutions in a search; auto: the faster one here.

        Raises:
          UserError: there is no such model, or it is damaged.
        """
        from dcgan_completion import checkpoints, devices

        with naming_arguments():
            if path is None:
                path = checkpoints.SHIPPED
            model, prefix = checkpoints.load_model(path)
            return cls(model, prefix, devices.Precision.choose(precision).used)

    @property
    def image_size(self) -> int:
        """S, edge of the images in pixels."""
        return self.model.image_size

    @property
    def channels(self) -> int:
        """C, 1 for gray or 3 for colour."""
        return self.model.channels

    # --- the parts of which a call is made ---

    def encoder(self, remedy: str = "") -> ContextEncoder | None:
        """Load the context encoder beside the model, once; None without one.

        Args:
          remedy: what else to do, at the end of an error.

        Raises:
          UserError: it is damaged, or of other images.
        """
        from dcgan_completion import checkpoints
        from dcgan_completion.inpaint.estimator import load_encoder_for

        folder = checkpoints.encoder_folder(self.prefix)
        if self._encoder is None and folder is not None:
            self._encoder = load_encoder_for(self.model, folder, remedy)
        return self._encoder

    def photo_encoder(self) -> PhotoEncoder | None:
        """Load the photo encoder beside the model, once; None without one.

        Raises:
          UserError: it is damaged, or of images of other channels.
        """
        from dcgan_completion import checkpoints

        folder = checkpoints.encoder_folder(self.prefix, PHOTO_ENCODER_FOLDER)
        if self._photo_encoder is None and folder is not None:
            encoder, _ = checkpoints.load_photo_encoder(folder)
            if encoder.channels != self.channels:
                raise UserError(
                    f"{folder}: the photo encoder is for images of {encoder.channels} channels, "
                    f"the DCGAN for {self.channels}; train it anew"
                )
            self._photo_encoder = encoder
        return self._photo_encoder

    def _encoder_for(
        self, approach: str, guide: float | None, keeps_pixels: bool
    ) -> ContextEncoder | None:
        """Load the encoder that an approach uses; None where it uses none.

        Raises:
          UserError: there is none, or nothing for it to estimate, and it was asked for; it is
            damaged, or of other images.
        """
        if approach not in ("auto", "direct") or guide == 0:
            return None
        flag = "--approach direct" if approach == "direct" else f"--guide {guide}" if guide else ""
        if not keeps_pixels:
            if flag:
                raise UserError(
                    f"{flag}: --mask-type full and lowres have no hole to estimate; leave one of "
                    "them out"
                )
            return None
        encoder = self.encoder("" if approach == "direct" else "; --guide 0 completes without it")
        if encoder is None and flag:
            raise UserError(
                f"{flag}: there is no context encoder beside {self.prefix}; train one "
                "(./train-context-encoder.py) or leave the option out"
            )
        return encoder

    def search_settings(
        self, options: Mapping[str, Any], samples: int = 1, keeps_pixels: bool = True
    ) -> SearchSettings:
        """Resolve the settings of a search, whose defaults depend on the encoder.

        `auto` without an encoder, or under masks that keep no pixels, is not guided.

        Args:
          options: of `SearchSettings`, those that were given.
          samples: completions of each image.
          keeps_pixels: whether a completion keeps the known pixels (`drawing.keeps_pixels`).

        Raises:
          UserError: options contradict each other, or the model.
        """
        approach, guide = options.get("approach", SearchSettings.approach), options.get("guide")
        encoder = self._encoder_for(approach, guide, keeps_pixels)
        unguided = approach == "auto" and encoder is None and keeps_pixels
        self._lacks_encoder = unguided and "guide" not in options
        return SearchSettings.of(samples=samples, guided=encoder is not None, **options)

    def encoder_of(self, settings: SearchSettings) -> ContextEncoder | None:
        """Load the encoder that a search by those settings needs; None if it needs none."""
        needed = settings.guide or settings.approach not in SEARCHES
        return self.encoder() if needed else None

    def search(
        self,
        settings: SearchSettings,
        *,
        samples: int = 1,
        batch_size: int = BATCH,
        precision: str | None = None,
    ) -> LatentSearch | Estimator:
        """Make what gives candidates by those settings: nothing is computed yet.

        Searches that are alike but for the number of iterations share what was compiled.

        Args:
          settings: as `search_settings` resolves them.
          samples: candidates of each image.
          batch_size: images of a batch; smaller ones are padded to it.
          precision: of the convolutions; None: the inpainter's.
        """
        from dcgan_completion.inpaint.search import LatentSearch

        if self._lacks_encoder and not self._logged:
            logger.info(
                "no context encoder beside %s: with one, completions come nearer to the truth "
                "(./train-context-encoder.py)",
                self.prefix,
            )
            self._logged = True
        precision = precision or self.precision
        # Blending comes later, and is no part of a search.
        same = dataclasses.replace(settings, n_iter=1, blend="none")
        key = same, samples, batch_size, precision
        if key not in self._searches:
            self._searches[key] = self._make_search(settings, samples, batch_size, precision)
            while len(self._searches) > MAX_SEARCHES:
                self._searches.popitem(last=False)
        self._searches.move_to_end(key)
        found = self._searches[key]
        if isinstance(found, LatentSearch) and found.iterations != settings.n_iter:
            return found.with_iterations(settings.n_iter)
        return found

    def _make_search(
        self, settings: SearchSettings, samples: int, batch_size: int, precision: str
    ) -> LatentSearch | Estimator:
        """Make what `search` returns.

        Raises:
          ValueError: it needs a context encoder, and there is none.
        """
        from dcgan_completion.inpaint.estimator import Estimator
        from dcgan_completion.inpaint.search import LatentSearch

        encoder = self.encoder_of(settings)
        if settings.approach in SEARCHES:
            return LatentSearch(
                self.model,
                settings,
                batch_size=batch_size,
                samples=samples,
                precision=precision,
                encoder=encoder,
                pools=self._pools.setdefault(precision, {}),
            )
        if encoder is None:
            raise ValueError(f"approach {settings.approach}: needs a context encoder")
        return Estimator(encoder, batch_size=batch_size, precision=precision)

    # --- all at once ---

    def __call__(
        self,
        images: arrays.Images,
        masks: arrays.Masks,
        *,
        approach: str = "auto",
        samples: int = 1,
        blend: str | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        callback: Callback | None = None,
        return_type: str = "pil",
        progress: bool = False,
        **options: Any,
    ) -> Inpainting:
        """Complete one image or several.

        Args:
          images: PIL images, or an array, uint8 or float in 0..1, [N, S, S, C] or [S, S, C].
          masks: 1, True or white = hole, black = known: a PIL image, or an array [S, S], for all
            images, or one each, [N, S, S]; or a `Mask`, such as `Mask.full()`.
          approach: auto, direct, adam, pgd or hmc; as --approach of complete.py.
          samples: different completions of each image.
          blend: none, poisson or smooth; None: the approach's own.
          seed: of all that is random.
          batch_size: images at a time; None: what fits.
          callback: called with (step, losses, images) every ten iterations; True stops.
          return_type: pil or numpy.
          progress: show a progress bar.
          options: more options of complete.py's search, such as n_iter, guide or lam.

        Raises:
          ValueError: names the argument that has a wrong type, size or range, or that another one
            contradicts.
        """
        from dcgan_completion.inpaint import blending
        from dcgan_completion.inpaint.candidates import Searched

        arrays.check_choice("return_type", return_type, ("pil", "numpy"))
        arrays.check_count("samples", samples)
        if batch_size is not None:
            arrays.check_count("batch_size", batch_size)
        pixels = arrays.read_images(images, self.image_size, self.channels)
        mask = arrays.read_masks(masks, len(pixels), self.image_size)
        with naming_arguments():
            given = {"approach": approach, "blend": blend} | options
            given = {name: value for name, value in given.items() if value is not None}
            arrays.check_options(given)
            settings = self.search_settings(given, samples, mask.keeps_pixels)
        size = batch_size or min(max(1, BATCH // samples), len(pixels))
        search = self.search(settings, samples=samples, batch_size=size)
        found = self._candidates(search, settings, (pixels, mask), seed, callback, progress)
        completed = blending.fill_all(pixels, mask, found.images, settings.blend)
        every = completed if return_type == "numpy" else arrays.to_pil(completed)
        best = completed[:, 0] if return_type == "numpy" else [row[0] for row in every]
        losses = found.losses[0] if isinstance(found, Searched) else None
        candidates = np.clip(found.images / np.float32(255), 0, 1)
        return Inpainting(best, every, candidates, losses)

    def _candidates(
        self,
        search: LatentSearch | Estimator,
        settings: SearchSettings,
        given: tuple[np.ndarray, Mask],
        seed: int,
        callback: Callback | None,
        progress: bool,
    ) -> Candidates:
        """Run a search over all batches; once the callback stops it, for no further iteration."""
        if progress:  # a widget in a notebook
            from tqdm.auto import tqdm
        else:
            from tqdm import tqdm

        from dcgan_completion.inpaint import blending
        from dcgan_completion.inpaint.candidates import Searched, joined

        images, mask = given
        starts = range(0, len(images), search.batch_size)
        parts: dict[int, Candidates] = {}  # where a batch starts -> its last state
        stopped = False
        interval = INTERVAL if callback or progress else search.iterations
        with tqdm(total=len(starts) * search.iterations, disable=not progress) as bar:
            for start in starts:
                part = slice(start, start + search.batch_size)
                done = 0
                for state in search.states(images[part], mask[part], seed, interval):
                    parts[start] = state
                    bar.update(state.iteration - done)
                    done = state.iteration
                    if callback is not None and not stopped:
                        losses = state.losses[0] if isinstance(state, Searched) else None
                        shown = blending.fill(
                            images[part], mask[part], state.images[:, 0], settings.blend
                        )
                        stopped = callback(done, losses, shown) is True
                    if stopped:
                        break
        return joined([*parts.values()])
