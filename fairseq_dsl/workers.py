"""The workers that train together."""

from typing import Tuple

import torch
from fairseq.distributed import utils as distributed_utils


def data_parallel_workers() -> Tuple[int, int]:
    """How many workers train together, and which of them this is."""
    if not torch.distributed.is_initialized():
        return 1, 0
    return distributed_utils.get_data_parallel_world_size(), distributed_utils.get_data_parallel_rank()
