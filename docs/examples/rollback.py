# SPDX-License-Identifier: BSD-2-Clause
# Goes back by itself, from Python: run it with "tracer python3 rollback.py". See docs/protocol.md.
import os

folder = os.environ["TRACER_CONTROL_DIR"]


def ask(what):
    """Asks for a checkpoint or a rollback. Returns which of them has brought us here."""
    request = f"{folder}/ready_to_{what}"
    open(request, "w").close()
    while True:
        is_asked = os.path.lexists(request)
        for answer in "rollback", "checkpoint":
            if os.access(f"{folder}/{answer}_complete", os.F_OK):
                os.unlink(f"{folder}/{answer}_complete")
                if answer == "checkpoint":
                    os.unlink(request)
                return answer
        if not is_asked:
            raise OSError("the tracer could not do it")


numbers = list(range(1000))
if ask("checkpoint") == "checkpoint":
    numbers = [n * n for n in numbers]
    print("try", sum(numbers), flush=True)
    ask("rollback")
print("back", sum(numbers))
