from .dual_dataset import DualDataset

__all__ = ["DualDataset"]
