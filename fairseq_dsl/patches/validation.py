"""How the translation task's validation computes BLEU."""

import functools

from fairseq.tasks.translation import TranslationTask

from ..bleu import log_tokenizer, tokenized, tokenizer_of


def tokenize_by_language():
    """fairseq's BLEU counts a sentence without spaces, such as a Chinese one, as one word: tokenize by language."""
    inference_with_bleu = TranslationTask._inference_with_bleu

    @functools.wraps(inference_with_bleu)
    def _inference_with_bleu(self, *args, **kwargs):
        log_tokenizer(self)
        with tokenized(tokenizer_of(self.cfg, self.cfg.target_lang)):
            return inference_with_bleu(self, *args, **kwargs)

    TranslationTask._inference_with_bleu = _inference_with_bleu
