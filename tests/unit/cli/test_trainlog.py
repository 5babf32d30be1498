"""What is read of a training log."""

from saved import log_line

from fairseq_dsl_cli import trainlog


class TestTrainLog:
    def test_reads_each_kind_of_line(self, tmp_path):
        log = tmp_path / "train.log"
        log.write_text(
            "2024-01-01 00:00:00 | INFO | fairseq_cli.train | Namespace(...)\n"
            + log_line("train_inner", num_updates=10, loss=9.5)
            + log_line("valid", num_updates=10, ppl=50)
            + log_line("train", num_updates=12, loss=9)
        )
        logs = trainlog.read(log)
        assert logs["train_inner"] == {10: {"num_updates": 10, "loss": 9.5}}
        assert logs["valid"][10]["ppl"] == 50
        assert logs["train"][12]["loss"] == 9

    def test_of_a_run_that_was_interrupted(self, tmp_path):
        log = tmp_path / "train.log"
        first = log_line("train_inner", num_updates=10, loss=9) + log_line("train_inner", num_updates=20, loss=8)
        cut = log_line("train_inner", num_updates=30, loss=7)[:30] + "\n"
        log.write_text(first + cut + log_line("train_inner", num_updates=20, loss=7.5))
        assert trainlog.series(trainlog.read(log)["train_inner"], "loss") == ([10, 20], [9, 7.5])

    def test_drops_what_fairseq_does_not_know(self):
        assert trainlog.parse_line(log_line("valid", num_updates=10, duality_gap=float("nan")))[1] == {
            "num_updates": 10
        }

    def test_series_skips_where_a_statistic_is_missing(self):
        assert trainlog.series({1: {"a": 5.0}, 2: {}, 3: {"a": 6.0}}, "a") == ([1, 3], [5.0, 6.0])
