from .dual_dataset import DualDataset, files_of_side
from .monolingual import MonolingualData

__all__ = ["DualDataset", "MonolingualData", "files_of_side"]
