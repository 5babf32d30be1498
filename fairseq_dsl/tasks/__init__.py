from .dual_translation import DualTranslationTask

__all__ = ["DualTranslationTask"]
