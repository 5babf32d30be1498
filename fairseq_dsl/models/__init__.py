from .architecture import check_architecture
from .building import PairBuilder
from .dual_translation import NAME, DualTranslationModel

__all__ = ["NAME", "DualTranslationModel", "PairBuilder", "check_architecture"]
