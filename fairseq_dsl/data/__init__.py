from .dual_dataset import DualDataset, files_of_side
from .folders import check_data_folders, check_pairs, first_folder
from .monolingual import MonolingualData
from .too_long import leave_out_too_long

__all__ = [
    "DualDataset",
    "MonolingualData",
    "check_data_folders",
    "check_pairs",
    "files_of_side",
    "first_folder",
    "leave_out_too_long",
]
