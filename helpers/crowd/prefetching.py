"""One processor hint that numba lacks: fetch a row of a matrix before it is needed."""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LINES = 2  # 64-byte lines asked for; the processor's own prefetcher follows from there


@intrinsic
def prefetch_row(typing_context, array, row):
    """prefetch_row(array, int64 row): ask for the first lines of array[row], to be written soon.

    A hint only: it changes no value, and a row outside the array does no harm.
    """

    def generate(context, builder, signature, arguments):
        number, pointer, small = ir.IntType(64), ir.IntType(8).as_pointer(), ir.IntType(32)
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, view.strides)[0]
        address = builder.add(builder.ptrtoint(view.data, number), builder.mul(stride, arguments[1]))
        kind = ir.FunctionType(ir.VoidType(), [pointer, small, small, small])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        for_writing, keep_near, data = (ir.Constant(small, value) for value in (1, 3, 1))
        for line in range(LINES):
            here = builder.inttoptr(builder.add(address, ir.Constant(number, 64 * line)), pointer)
            builder.call(prefetch, [here, for_writing, keep_near, data])
        return context.get_dummy_value()

    return types.void(array, row), generate
