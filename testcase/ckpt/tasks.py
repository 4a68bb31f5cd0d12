# SPDX-License-Identifier: BSD-2-Clause
#
# Tasks of asyncio, which a thread wakes up: it does so by a pair of sockets.
import asyncio
import os
import queue
import threading
import time

asked = queue.Queue()


def wake():
    while True:
        loop, event = asked.get()
        time.sleep(0.001)
        loop.call_soon_threadsafe(event.set)


async def be_woken():
    event = asyncio.Event()
    asked.put((asyncio.get_running_loop(), event))
    await event.wait()


async def main():
    rounds = 0
    print("ready", flush=True)
    while rounds < 23 or not os.path.exists("finish"):
        await be_woken()
        await asyncio.gather(be_woken(), be_woken())
        rounds += 1
        if not os.path.lexists("alive"):
            os.symlink("finish", "alive")


threading.Thread(target=wake, daemon=True).start()
asyncio.run(main())
print("ok", flush=True)
