"""``--log-file`` has each message once, however many progress bars there were."""

import logging
import os

import pytest
from fairseq.logging import progress_bar

TRAIN = logging.getLogger("fairseq_cli.train")


@pytest.fixture(autouse=True)
def loggers():
    """Make both loggers of a training run write, and remove their files afterwards."""
    both = (TRAIN, progress_bar.logger)
    levels = [logger.level for logger in both]
    for logger in both:
        logger.setLevel(logging.INFO)
    yield
    for logger, level in zip(both, levels):
        logger.setLevel(level)
        for handler in [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]:
            logger.removeHandler(handler)
            handler.close()


def train(path, epochs, log_format):
    """What ``fairseq-train`` does with its ``--log-file``."""
    TRAIN.addHandler(logging.FileHandler(filename=path))
    TRAIN.info("begins")
    for epoch in range(1, epochs + 1):
        bar = progress_bar.progress_bar([1, 2], log_file=str(path), log_format=log_format, log_interval=1, epoch=epoch)
        for _ in bar:
            bar.log({"loss": 1}, tag="train_inner", step=1)
        progress_bar.progress_bar([1], log_format=log_format, epoch=epoch).print({"loss": 2}, tag="valid", step=1)
        TRAIN.info(f"end of epoch {epoch}")


def open_files(path):
    links = (f"/proc/self/fd/{descriptor}" for descriptor in os.listdir("/proc/self/fd"))
    return [link for link in links if os.path.exists(link) and os.readlink(link) == str(path)]


@pytest.mark.parametrize("log_format", ["simple", "json", "tqdm"])
def test_each_message_is_written_once(tmp_path, log_format):
    path = tmp_path / "train.log"
    train(path, epochs=10, log_format=log_format)
    lines = path.read_text().splitlines()
    assert [line for line in lines if "epoch" not in line] == ["begins"]
    assert len(lines) == 1 + 10 * (1 + 2 + 1)  # the end of an epoch, two updates, a validation
    assert len([line for line in lines if line.startswith("end of epoch 10")]) == 1


def test_files_do_not_pile_up(tmp_path):
    path = tmp_path / "train.log"
    train(path, epochs=2, log_format="simple")
    few = len(open_files(path))
    train(path, epochs=10, log_format="simple")
    assert len(open_files(path)) == few == 2


def test_a_second_training_in_the_process_writes_to_its_own_file(tmp_path):
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    train(first, epochs=1, log_format="simple")
    before = first.read_text()
    train(second, epochs=1, log_format="simple")
    assert first.read_text() == before == second.read_text()
    assert open_files(first) == []
