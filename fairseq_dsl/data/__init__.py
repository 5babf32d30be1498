from .dual_dataset import DualDataset, files_of_side

__all__ = ["DualDataset", "files_of_side"]
