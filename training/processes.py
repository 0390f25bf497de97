"""A run of several processes: one speaks and writes, all of them count.

`accelerate launch` and `torchrun` start the same command once a device and say by the
environment which is which. Numbers of the whole are sums of parts: each process reckons
its rows' part of a loss, over the count that all of them have, and the parts are summed.
A mean of the processes' means would be another number wherever their rows differ in
length or weight.
"""

import os
from collections.abc import Sequence
from typing import Any


def count() -> int:
    """How many processes this run has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def number() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this is the one that prints, keeps and writes."""
    return number() == 0


def say(text: str) -> None:
    """Print a worker's progress, once however many processes there are."""
    if is_main():
        print(text, flush=True)  # noqa: T201 - a worker's progress


def join() -> None:
    """Meet the other processes; alone, nothing happens."""
    if count() == 1:
        return
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made
    from accelerate import PartialState  # noqa: PLC0415 - as above

    PartialState(cpu=not torch.cuda.is_available())


def leave() -> None:
    """Part from the other processes, once what they made is whole."""
    if count() == 1:
        return
    import torch.distributed as together  # noqa: PLC0415 - heavy

    together.barrier()
    together.destroy_process_group()


def wait() -> None:
    """Go on when all processes are here."""
    if count() > 1:
        import torch.distributed as together  # noqa: PLC0415 - heavy

        together.barrier()


def everywhere(part: Any) -> Any:
    """A tensor's sum over all processes, without gradient; alone, the tensor.

    All processes have to ask, in the same order.
    """
    if count() == 1:
        return part.detach()
    import torch.distributed as together  # noqa: PLC0415 - heavy

    whole = part.detach().clone()
    together.all_reduce(whole)
    return whole


def heard(value: Any) -> Any:
    """What the main process has; the others' own value does not count."""
    if count() == 1:
        return value
    from accelerate.utils import broadcast_object_list  # noqa: PLC0415 - heavy

    return broadcast_object_list([value])[0]


def gathered(values: Sequence[str]) -> list[str]:
    """What all processes have, the main one's first."""
    if count() == 1:
        return list(values)
    from accelerate.utils import gather_object  # noqa: PLC0415 - heavy

    return list(gather_object(list(values)))


def share(batch: Sequence[int]) -> tuple[int, ...]:
    """This process's rows of a step; one that the others have, too, where none is left.

    That one does not count, see `spare`: without a row a process would miss the sums
    that all have to ask for.
    """
    own = tuple(batch[number() :: count()])
    return own or tuple(batch[:1])


def spare(batch: Sequence[int]) -> bool:
    """Whether this process has no row of a step of its own."""
    return number() >= len(batch)


def sum_gradients(model: Any) -> None:
    """Sum the parts that the processes have reckoned, in one message."""
    if count() == 1:
        return
    import torch  # noqa: PLC0415 - heavy

    grads = [each.grad for each in model.parameters() if each.grad is not None]
    flat = everywhere(torch.cat([grad.flatten() for grad in grads]))
    at = 0
    for grad in grads:
        grad.copy_(flat[at : at + grad.numel()].view_as(grad))
        at += grad.numel()
