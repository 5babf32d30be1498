"""The workers that train together."""

from typing import Any, List, Tuple

import numpy as np
import torch
from fairseq.distributed import utils as distributed_utils


def data_parallel_workers() -> Tuple[int, int]:
    """How many workers train together, and which of them this is."""
    if not torch.distributed.is_initialized():
        return 1, 0
    return distributed_utils.get_data_parallel_world_size(), distributed_utils.get_data_parallel_rank()


def shared_by_first_worker(values: List[Any]) -> List[Any]:
    """What the first worker has, to all: words, numbers, arrays or None."""
    if data_parallel_workers()[0] == 1:
        return values
    sent = [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in values]
    group = distributed_utils.get_data_parallel_group()
    found = distributed_utils.broadcast_object(sent, src_rank=0, group=group)
    return [value.numpy() if isinstance(value, torch.Tensor) else value for value in found]
