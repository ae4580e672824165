"""Processor and GPUs of this machine, the precision they compute in, and their strategies."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
import platform
import time

import tensorflow as tf

from dcgan_completion.utils import UserError

logger = logging.getLogger(__name__)

# Flags of processors that multiply bfloat16 in hardware; elsewhere it is emulated, and a training
# step takes 15 times as long as in float32.
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
BFLOAT16_CAPABILITY = (8, 0)  # NVIDIA's compute capability that brought bfloat16
MIN_BFLOAT16_GAIN = 1.15  # how many times as fast convolutions must be to be worth the rounding
GAIN_RUNS = 4  # of each precision: the first compiles, and the best one counts


def _cpuinfo(*keys: str) -> str:
    """Read the first of Linux's lines on processors that has one of the keys; "" without it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() in keys:
                    return value.strip()
    except OSError:
        pass
    return ""


def processor() -> str:
    """Return the processor's name, as far as the system tells it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_flags() -> list[str]:
    """List the processor's instruction sets as Linux names them; empty on other systems."""
    return _cpuinfo("flags", "Features").split()


def has_bfloat16() -> bool:
    """Return whether the device that TensorFlow uses multiplies bfloat16 in hardware."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(d.get("compute_capability", (0, 0)) >= BFLOAT16_CAPABILITY for d in details)
    return not set(BFLOAT16_FLAGS).isdisjoint(processor_flags())


@functools.cache
def bfloat16_gain() -> float:
    """Measure how many times as fast as in float32 a convolution is in bfloat16 here.

    Once per process, in some 0.1 s: a layer as in the DCGAN's middle, in both precisions by turns,
    by the processor time of all cores, so that other programs do not matter. Flags are not enough:
    of processors that have avx512_bf16, some are twice as fast in bfloat16, and others half as
    fast.
    """
    images, kernel = tf.ones([32, 16, 16, 64]), tf.ones([5, 5, 64, 128])
    inputs = {d: (tf.cast(images, d), tf.cast(kernel, d)) for d in ("float32", "bfloat16")}
    seconds = dict.fromkeys(inputs, float("inf"))
    for _ in range(GAIN_RUNS):
        for name in inputs:
            start = time.process_time()
            tf.nn.conv2d(*inputs[name], 2, "SAME")
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds["float32"] / seconds["bfloat16"]


def prefers_bfloat16() -> bool:
    """Return whether convolutions should be in bfloat16 on the device that TensorFlow uses.

    On a GPU wherever its hardware multiplies it; on a processor only if it is clearly faster there.
    In a cluster the processor's flags alone decide: it must be joined before anything is computed,
    and all its processes should agree.
    """
    if not has_bfloat16():
        return False
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    return on_gpu or "TF_CONFIG" in os.environ or bfloat16_gain() >= MIN_BFLOAT16_GAIN


@dataclasses.dataclass(frozen=True)
class Precision:
    """The precision of convolutions.

    Attributes:
      asked: what the user asked for: auto, float32 or bfloat16.
      used: the precision on this machine: float32 or bfloat16.
    """

    asked: str
    used: str

    @classmethod
    def choose(cls, asked: str) -> Precision:
        """Resolve one of options.PRECISIONS: auto is bfloat16 where that is clearly faster.

        Raises:
          UserError: bfloat16 is asked for, and this machine lacks it.
        """
        if asked == "auto":
            return cls(asked, "bfloat16" if prefers_bfloat16() else "float32")
        if asked == "bfloat16" and not has_bfloat16():
            raise UserError(
                "--precision bfloat16: this machine can only emulate it, some 15 times slower than "
                "float32; use --precision auto or float32"
            )
        return cls(asked, asked)

    def resumed(self, asked: str | None) -> Precision:
        """Resolve the precision in which a run resumes; log it if it has to change.

        Args:
          asked: --precision as given now; None or auto: the precision used before.

        Raises:
          UserError: bfloat16 was asked for by name, and this machine lacks it.
        """
        if asked in ("float32", "bfloat16"):
            return Precision.choose(asked)
        asked = asked or self.asked
        if self.used == "bfloat16" and not has_bfloat16() and self.asked == "auto":
            logger.info("this machine only emulates bfloat16: the run continues in float32")
            return Precision(asked, "float32")
        return Precision(asked, Precision.choose(self.used).used)


def _check_tf_config() -> None:
    """Raise UserError if TF_CONFIG does not describe a cluster that this process belongs to."""
    expected = (
        'TF_CONFIG must be like {"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        hosts = cluster[kind]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{expected}; it is not ({type(error).__name__}: {error})") from None
    if kind not in ("chief", "worker") or not 0 <= index < len(hosts):
        raise UserError(f"TF_CONFIG: there is no task {kind} {index} in its cluster; {expected}")


def make_strategy() -> tf.distribute.Strategy:
    """Make the strategy of a training: TF_CONFIG's machines, this one's GPUs, or one device.

    Raises:
      UserError: TF_CONFIG is wrong.
    """
    if "TF_CONFIG" in os.environ:
        _check_tf_config()
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"TF_CONFIG: the cluster cannot be joined ({reason})") from error
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    if resolver.task_type == "chief":
        return True
    return "chief" not in resolver.cluster_spec().jobs and resolver.task_id == 0


def local_replicas(strategy: tf.distribute.Strategy) -> range:
    """Return the indices of this process' replicas among those of all processes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return range(strategy.num_replicas_in_sync)
    local = len(strategy.extended.worker_devices)
    jobs = resolver.cluster_spec().as_dict()
    before = len(jobs.get("chief", [])) if resolver.task_type == "worker" else 0
    first = (before + resolver.task_id) * local
    return range(first, first + local)


def check_divides(strategy: tf.distribute.Strategy, batch_size: int) -> None:
    """Raise UserError if a batch cannot be divided evenly among a strategy's replicas."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(
            f"--batch-size {batch_size} cannot be divided among {replicas} devices; use a multiple "
            f"of {replicas}"
        )


def any_process(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Return whether `flag` is true in any process; all must call it at the same step."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return flag
    return bool(_any_replica(strategy, tf.constant(float(flag))))


@tf.function(autograph=False)
def _any_replica(strategy: tf.distribute.Strategy, flag: tf.Tensor) -> tf.Tensor:
    def reduced(value: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        # A copy on the replica's own device: reductions need to know where a value is.
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))

    results = strategy.run(reduced, args=(flag,))
    return strategy.experimental_local_results(results)[0] > 0
