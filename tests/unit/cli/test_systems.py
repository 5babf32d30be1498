"""What an evaluation compares, as it is written on the command line."""

import argparse

import pytest

from fairseq_dsl_cli.evaluation.systems import System


class TestSystem:
    def test_of_a_dual_and_of_two_plain_checkpoints(self, tmp_path):
        for name in ("dual.pt", "a.pt", "b.pt"):
            (tmp_path / name).touch()
        dual = System.parse(f"dsl={tmp_path}/dual.pt")
        assert dual.is_pair and dual.path(True) == dual.path(False) == f"{tmp_path}/dual.pt"
        plain = System.parse(f"warm={tmp_path}/a.pt,{tmp_path}/b.pt")
        assert not plain.is_pair
        assert (plain.path(True), plain.path(False)) == (f"{tmp_path}/a.pt", f"{tmp_path}/b.pt")
        ensemble = System.parse(f"both={tmp_path}/a.pt:{tmp_path}/b.pt")
        assert ensemble.is_pair

    @pytest.mark.parametrize("text", ["dual.pt", "x=", "=dual.pt", "x=/nowhere.pt", "x=a,b,c"])
    def test_refuses_other_forms(self, text):
        with pytest.raises(argparse.ArgumentTypeError):
            System.parse(text)
