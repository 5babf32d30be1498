"""What the plugin mends in fairseq itself, whatever its version; applied on import, stock tasks included.

What depends on a version of fairseq, torch or numpy is in `fairseq_dsl.compat`.

Checkpoints
    `checkpoints.copy_atomically`             fairseq makes ``checkpoint_last.pt`` by copying in place. It is replaced
                                              in one step, so that a kill never leaves half a file.
    `checkpoints.check_on_loading`            fairseq trusts a checkpoint, and a damaged one ends in a traceback. Its
                                              content is checked, and an error is one line that names the file.
    `checkpoints.refuse_other_dictionaries`   fairseq loads a model with any dictionaries of the right sizes. Models
                                              exported from a pair refuse others: their translations would be garbage.
    `checkpoints.average_parameters_only`     fairseq's ``--store-ema`` fails on models with integers in their state,
                                              such as a pair. Only floating-point values are averaged.
    `untrusted.evaluate_literals_only`        fairseq calls ``eval`` on text in configurations. Only literals are
                                              evaluated, so that a checkpoint cannot run code.
    `save_dir.lock`                           fairseq lets several training runs write to one ``--save-dir``. A
                                              second is refused: each would overwrite the other's checkpoints.

Training
    `training.tell_criterions`                fairseq does not tell a criterion which update a batch is for, nor that it
                                              is a dummy. Those with ``in_batch`` are told: schedules need it.
    `training.tell_optimizers`                fairseq does not tell a task what the gradient's norm was before clipping.
                                              The optimizer keeps it, for the ``gnorm`` of each model.
    `adaptive_softmax.make_differentiable`    fairseq overwrites what the gradient of an adaptive softmax's
                                              log-probabilities needs. Nothing is overwritten, so that DSL can train it.
    `prefetching.stop_threads`                fairseq's prefetching threads run until the interpreter ends, and may
                                              crash it then. They stop with the iterator that they work for.

Validation and logs
    `validation.tokenize_by_language`         fairseq's BLEU counts a Chinese or Japanese sentence as one word. The
                                              tokenizer is chosen by language, or with ``--eval-bleu-tokenizer``.
    `log_file.keep_one_handler`               fairseq's ``--log-file`` gets one more handler each epoch, which repeats
                                              each line. One handler stays.
    `log_file.make_its_folder`                fairseq's ``--log-file`` fails in a folder that does not exist yet, such
                                              as that of ``--save-dir``. The folder is made.
    `errors.print_without_traceback`          Bad input would end in a traceback. It is one line on standard error.
"""

from .. import errors, untrusted
from . import adaptive_softmax, checkpoints, log_file, prefetching, save_dir, training, validation

checkpoints.copy_atomically()
checkpoints.check_on_loading()
checkpoints.refuse_other_dictionaries()
checkpoints.average_parameters_only()
untrusted.evaluate_literals_only()
save_dir.lock()
training.tell_criterions()
training.tell_optimizers()
adaptive_softmax.make_differentiable()
prefetching.stop_threads()
validation.tokenize_by_language()
log_file.keep_one_handler()
log_file.make_its_folder()
errors.print_without_traceback()
