from .architecture import check_architecture
from .building import PairBuilder
from .dual_translation import NAME, DualTranslationModel
from .restoring import Restored, restore

__all__ = ["NAME", "DualTranslationModel", "PairBuilder", "Restored", "check_architecture", "restore"]
