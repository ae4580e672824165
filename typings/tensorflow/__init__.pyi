"""TensorFlow as Any, but for what the package derives from and decorates with.

The stubs that pyright carries are those of TensorFlow 2.18; they object to some 70 lines that are
right (static shapes, optional arguments, arrays for tensors). Decorated functions keep their own
types, so that wrong arguments are found. What stands behind `tf.` is checked by tests alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, overload

_Function = TypeVar("_Function", bound=Callable[..., Any])

Tensor: TypeAlias = Any

class Variable(Any): ...

class Module:
    def __init__(self, name: str | None = None) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def variables(self) -> Sequence[Variable]: ...
    @property
    def trainable_variables(self) -> Sequence[Variable]: ...

@overload
def function(func: Callable[..., Any], **options: Any) -> Any: ...
@overload
def function(func: None = None, **options: Any) -> Callable[[_Function], _Function]: ...
def __getattr__(name: str) -> Any: ...
