from .folders import check_data_folders, first_folder
from .monolingual import MonolingualData
from .pairs import PairDataset
from .splits import Splits
from .too_long import leave_out_too_long, lines_that_fit

__all__ = [
    "MonolingualData",
    "PairDataset",
    "Splits",
    "check_data_folders",
    "first_folder",
    "leave_out_too_long",
    "lines_that_fit",
]
