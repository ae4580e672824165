"""What this machine computes with: its processor, its GPUs, the precision that is fastest there."""

from __future__ import annotations

import json
import os
import platform

import tensorflow as tf

from utils import UserError

PRECISIONS = ("auto", "float32", "bfloat16")
# Flags of processors that multiply bfloat16 in hardware; elsewhere it is emulated, and a training
# step takes 15 times as long as in float32.
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
BFLOAT16_CAPABILITY = (8, 0)  # NVIDIA's compute capability that brought bfloat16


def _cpuinfo(*keys: str) -> str:
    """The value of the first of the keys in Linux's description of the first processor."""
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
    """The processor's name, as far as the system tells it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_flags() -> list[str]:
    """The processor's instruction sets as Linux names them; empty where it does not tell."""
    return _cpuinfo("flags", "Features").split()


def has_bfloat16() -> bool:
    """Whether the device that TensorFlow uses multiplies bfloat16 in hardware."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(d.get("compute_capability", (0, 0)) >= BFLOAT16_CAPABILITY for d in details)
    return not set(BFLOAT16_FLAGS).isdisjoint(processor_flags())


def resolve_precision(wanted: str) -> str:
    """float32 or bfloat16 for one of PRECISIONS: auto is bfloat16 where that is not emulated.

    Raises:
      UserError: bfloat16 is wanted, and this machine lacks it.
    """
    if wanted == "auto":
        return "bfloat16" if has_bfloat16() else "float32"
    if wanted == "bfloat16" and not has_bfloat16():
        raise UserError(
            "--precision bfloat16: this machine can only emulate it, some 15 times slower than "
            "float32; use --precision auto or float32"
        )
    return wanted


def resumed_precision(wanted: str | None, asked: str, used: str) -> tuple[str, str]:
    """The precision of a resumed run, and a line to tell the user (empty: nothing to tell).

    Args:
      wanted: --precision as given now, None if it was left out.
      asked: --precision as it was asked for in the first place.
      used: what it was resolved to.

    Raises:
      UserError: bfloat16 was asked for by name, and this machine lacks it.
    """
    if wanted in ("float32", "bfloat16"):
        return resolve_precision(wanted), ""
    if used == "bfloat16" and not has_bfloat16() and asked == "auto":
        return "float32", "this machine only emulates bfloat16: the run goes on in float32"
    return resolve_precision(used), ""


def _check_tf_config() -> None:
    """Raises UserError if TF_CONFIG does not describe a cluster that this process belongs to."""
    wanted = (
        'TF_CONFIG must be like {"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        hosts = cluster[kind]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{wanted}; it is not ({type(error).__name__}: {error})") from None
    if kind not in ("chief", "worker") or not 0 <= index < len(hosts):
        raise UserError(f"TF_CONFIG: there is no task {kind} {index} in its cluster; {wanted}")


def make_strategy() -> tf.distribute.Strategy:
    """How training is divided: over the machines of TF_CONFIG, the GPUs of this one, or not.

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
    """Whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    if resolver.task_type == "chief":
        return True
    return "chief" not in resolver.cluster_spec().jobs and resolver.task_id == 0


def local_replicas(strategy: tf.distribute.Strategy) -> range:
    """The numbers of this process' replicas among those of all processes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return range(strategy.num_replicas_in_sync)
    local = len(strategy.extended.worker_devices)
    jobs = resolver.cluster_spec().as_dict()
    before = len(jobs.get("chief", [])) if resolver.task_type == "worker" else 0
    first = (before + resolver.task_id) * local
    return range(first, first + local)
