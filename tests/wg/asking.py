"""The port mapping in a process of its own, for a namespace: PORT [--outer N] [--check S] [--lease S] [--secret W].

Writes each state as a line of JSON; SIGTERM ends it, and `stopped` is its last word.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

import uvloop

from pixlsrve.wg.router.mapping import MappingState, PortMapping, make_wish


def show(state: MappingState) -> None:
    """One line."""
    mapping = state.mapping
    line = {
        "router": None if state.router is None else str(state.router),
        "protocol": state.protocol,
        "outer": None if mapping is None or mapping.outer is None else str(mapping.outer),
        "port": None if mapping is None else mapping.port,
        "lease_s": None if mapping is None else mapping.lease_s,
        "trouble": state.trouble,
        "detail": state.detail,
        "settled": state.is_settled,
    }
    print(json.dumps(line), flush=True)


async def main() -> None:
    """Until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--outer", type=int, default=0)
    parser.add_argument("--check", type=float, default=0.5)
    parser.add_argument("--lease", type=int, default=3_600)
    parser.add_argument("--secret", default="a secret")
    options = parser.parse_args()
    wish = make_wish(
        port=options.port,
        outer_port=options.outer or options.port,
        secret=options.secret.encode(),
        lease_s=options.lease,
    )
    mapping = PortMapping(wish, check_s=options.check, retry_s=options.check)
    mapping.on_change = lambda: show(mapping.state)
    task = asyncio.create_task(mapping.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        print("stopped", flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the daemon does
        runner.run(main())
