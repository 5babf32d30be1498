from .dual_dataset import DualDataset, files_of_side
from .monolingual import MonolingualData
from .too_long import leave_out_too_long

__all__ = ["DualDataset", "MonolingualData", "files_of_side", "leave_out_too_long"]
