"""What an experiment keeps of a training log: a line for each validation."""

from statistics import fmean

from fairseq_dsl_cli import trainlog

# Of the keys of validation, and of training: these, and those of a direction or language, such as bleu_de-en.
VALIDATION = ("loss", "nll_loss", "bleu", "duality_gap")
TRAINING = (
    "nll_loss",
    "duality_gap",
    "unlearnt",
    "duality_share",
    "bound",
    "bound_gap",
    "log_marginal",
    "marginal_loss",
    "effective_samples",
    "reward",
    "risk",
    "critic_accuracy_real",
    "critic_accuracy_sampled",
)


def curves(folder):
    """The log of a run, as {"seconds": of all updates, "updates": [...], "valid": {key: [...]}, "train": {...}}.

    A value of training is the mean of the lines since the validation before it.
    """
    logs = trainlog.read(folder / "train.log")
    training, validation = logs.get("train_inner", {}), logs.get("valid", {})
    updates = sorted(validation)
    between = [
        [training[update] for update in training if start < update <= end] for start, end in zip([0, *updates], updates)
    ]
    return {
        "seconds": round(sum(line.get("train_wall", 0) for line in training.values())),
        "updates": updates,
        "valid": columns([[validation[update]] for update in updates], VALIDATION),
        "train": columns(between, TRAINING),
    }


def columns(groups, keys):
    """The means of the lines of each group by key; None where no line has it.

    >>> columns([[{"bleu_de-en": 1, "wps": 7}, {"bleu_de-en": 2}], [{}]], ["bleu"])
    {'bleu_de-en': [1.5, None]}
    """
    names = sorted({name for group in groups for line in group for name in line if base(name) in keys})
    values = {name: [[line[name] for line in group if name in line] for group in groups] for name in names}
    return {name: [round(fmean(found), 5) if found else None for found in lists] for name, lists in values.items()}


def base(name):
    """A key without its direction or language.

    >>> base("nll_loss_de-en"), base("nll_loss")
    ('nll_loss', 'nll_loss')
    """
    stem, _, last = name.rpartition("_")
    return stem if stem and name not in (*VALIDATION, *TRAINING) else name
