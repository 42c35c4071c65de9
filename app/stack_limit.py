"""holoscan wants a 32 MB stack; it looks when it is imported, so this comes before."""

import logging
import resource

logger = logging.getLogger(__name__)

STACK_BYTES = 32 << 20
"""holoscan's recommended minimum; below it long graphs can crash."""


def raise_stack_limit() -> None:
    """Raise this process's stack limit to what holoscan wants, or say how the operator can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if soft == resource.RLIM_INFINITY or soft >= STACK_BYTES:
        return
    if hard == resource.RLIM_INFINITY or hard >= STACK_BYTES:
        resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, hard))
    else:
        logger.warning("the stack limit is %d kB; run `ulimit -s 32768` before starting", soft >> 10)
