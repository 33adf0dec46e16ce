"""Which of the ways to have a WireGuard interface this host offers to who has the rights."""

from __future__ import annotations

import asyncio

from pixlsrve.wg.interface import Backend, TunnelUnavailable
from pixlsrve.wg.kernel import KernelBackend
from pixlsrve.wg.userspace import UserspaceBackend


async def choose() -> tuple[Backend, str]:
    """The backend to use, and why that one: the kernel's where there is one, for its speed.

    Raises TunnelUnavailable where there is none, with what either lacks.
    """
    kernel = await asyncio.to_thread(KernelBackend.why_not)
    if kernel is None:
        return KernelBackend(), "the kernel has WireGuard"
    userspace = await asyncio.to_thread(UserspaceBackend.why_not)
    if userspace is None:
        return UserspaceBackend(), kernel.partition(". ")[0]
    if kernel == userspace:
        raise TunnelUnavailable(kernel)
    raise TunnelUnavailable(f"{userspace} Or, to have it in the kernel: {kernel}")
