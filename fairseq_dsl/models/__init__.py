from .dual_translation import DualTranslationModel

__all__ = ["DualTranslationModel"]
