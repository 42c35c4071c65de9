"""What has been computed from an image, kept by a hash of its pixels: whoever asks second pays nothing."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from models.contracts import Image

Value = TypeVar("Value")


class PixelCache(Generic[Value]):
    """Keeps the values used last, up to ``limit`` bytes in total, and always the newest one.

    ``size_of`` returns the bytes of a value.
    """

    def __init__(self, limit: int, size_of: Callable[[Value], int]) -> None:
        self._limit = limit
        self._size_of = size_of
        self._values: OrderedDict[bytes, Value] = OrderedDict()
        self._bytes = 0

    def get(self, image: Image, compute: Callable[[Image], Value]) -> Value:
        """Return the value of an image (H, W, 3), computed unless the same pixels were seen lately."""
        key = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
        found = self._values.get(key)
        if found is not None:
            self._values.move_to_end(key)
            return found
        value = compute(image)
        self._values[key] = value
        self._bytes += self._size_of(value)
        while self._bytes > self._limit and len(self._values) > 1:
            _, forgotten = self._values.popitem(last=False)
            self._bytes -= self._size_of(forgotten)
        return value
