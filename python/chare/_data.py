# SPDX-License-Identifier: BSD-3-Clause
"""Arrays that are made to be moved: empty(). move() is in C (_core/move.c)."""

import math
import operator

from chare import _core


def empty(shape, dtype=float, order="C"):
    """A NumPy array, not initialized, that can be moved without a copy.

    Its memory is the runtime's: with several PEs in a node all of them see
    it, so that move() hands over nothing but its place. In every other way
    it is an array like any other, and may outlive the job.

    shape: an int or a tuple of them. dtype: anything that NumPy takes for one
    but objects. order: "C" or "F".

    Raises TypeError for a dtype with objects, ValueError for a negative
    dimension, Error where no job runs, MemoryError. Anywhere on the PE's
    thread, also in coroutines.

    Example:
        block = chare.empty((512, 512))
        block[:] = 0
        neighbour.take(chare.move(block))
    """
    import numpy

    dtype = numpy.dtype(dtype)
    if dtype.hasobject:
        raise TypeError(f"empty(): {dtype} holds Python objects, which only "
                        "numpy.empty() can make room for")
    try:
        shape = (operator.index(shape),)
    except TypeError:
        shape = tuple(operator.index(length) for length in shape)
    if any(length < 0 for length in shape):
        raise ValueError(f"empty(): a length in {shape} is negative")
    memory, offset = _core.memory(math.prod(shape) * dtype.itemsize)
    return numpy.ndarray(
        shape, dtype, memory, offset, None,
        order,  # pyright: ignore
    )


def move(array):
    """Give up an array: the argument of a call that is not copied.

    array: a NumPy array, bytearray or memoryview.

    What it returns is good for one message, as an argument or as part of
    one, as a value that is sent to a future or a channel, as a contribution,
    or as a result.
    Until then nothing happens. Once the message is made, the array is empty
    (its shape is (0,), a bytearray has no bytes, a memoryview is released),
    and its receiver has the elements; after an exception about the call or
    its arguments it is what it was. What is refused when its message was
    made, as a call to a destroyed group, leaves an array in C order, and a
    memoryview released.

    To send the emptied array again, with move() or without, raises
    ValueError, and it cannot be resized in place (resize() refuses): put a
    new one in its place. Nobody notices, and nothing arrives in it, where it is pickled
    together with something else, or copied; nor with a bytearray.

    Nothing is copied if the array was made by chare.empty() or received, has
    64 KiB or more, lies in C or Fortran order from its first element on, and
    its receiver is on the same PE or node; one of them in a message. All
    other arrays are copied once, as without move().

    The array must have one owner: one variable, attribute or container, and
    no views. BufferError says who else has it, where that is known. Buffers
    that others made of it by the buffer protocol count too. An argument of
    the running entry method can be moved on; its other arguments stay.

    Raises TypeError for anything else, and where other arguments of the call
    have to be pickled; ValueError for an array that was moved already. The
    call raises BufferError (see above) and ValueError (it was moved already).
    Anywhere on the PE's thread, also in coroutines.

    Example:
        def step(self, block):
            block += 1
            self.following.step(chare.move(block))
    """
    return _core.move(array)
